"""RSMs as rsatoolbox's RDMs, and back: similarities become dissimilarities."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from semrsm_cli.arrays import as_array
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm import Kernel

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["from_rdms", "to_rdms"]

_MEASURES = {Kernel.cosine: "1 - cosine", Kernel.rbf: "1 - rbf", Kernel.linear: "squared euclidean"}
_ASYMMETRY = 1e-4  # of an RSM, relative to its largest value
_IDS, _LAYER = "ids", "layer"


def to_rdms(K: Any, *, kernel: Kernel | str, ids: Sequence[str] | None = None) -> "RDMs":  # noqa: N803
    """Turn RSMs of one set of images into rsatoolbox's RDMs, for its comparisons, models and bootstraps.

    From similarity to dissimilarity: 1 - K for cosine and RBF; for the linear kernel, which has no largest value, the
    squared distance D_ij = K_ii + K_jj - 2 K_ij (of Eq. 8; of a semantic RSM that of matched concept vectors).

    Args:
        K: An RSM [n, n], several [k, n, n], or a mapping from layers to RSMs, whose names are the descriptor `layer`.
        kernel: The kernel of the RSMs.
        ids: What the n images are called: the pattern descriptor `ids`.

    Returns:
        RDMs of n conditions. What lies on the diagonal is dropped: it is 0 there.

    Raises:
        SemrsmError: rsatoolbox is not installed.
        ValueError: An RSM is not square and symmetric, or ids are not as many as images.

    Example:
        >>> to_rdms(np.array([[1, 0.25], [0.25, 1]]), kernel="cosine").dissimilarities  # doctest: +SKIP
        array([[0.75]])
    """
    chosen = Kernel(kernel)
    rsms = np.stack(
        [np.asarray(as_array(one), np.float64) for one in K.values()] if isinstance(K, Mapping) else _stacked(K)
    )
    n = rsms.shape[-1]
    if rsms.ndim != 3 or rsms.shape[1] != n or not np.isfinite(rsms).all():
        raise ValueError(f"K must be one RSM [n, n] or several, all finite, got {list(rsms.shape)}")
    asymmetry = np.abs(rsms - rsms.mT).max()
    if asymmetry > _ASYMMETRY * max(1e-300, np.abs(rsms).max()):
        raise ValueError(f"K must be symmetric, of images with themselves, got differences up to {asymmetry:.2g}")
    if ids is not None and len(ids) != n:
        raise ValueError(f"ids must name the {n} images of K, got {len(ids)}")
    rsms = (rsms + rsms.mT) / 2
    diagonal = np.diagonal(rsms, axis1=1, axis2=2)
    is_linear = chosen is Kernel.linear
    rdms = diagonal[:, :, None] + diagonal[:, None, :] - 2 * rsms if is_linear else 1 - rsms
    rdms[:, np.arange(n), np.arange(n)] = 0
    return _rdms_class()(
        rdms,
        dissimilarity_measure=_MEASURES[chosen],
        rdm_descriptors={_LAYER: list(K)} if isinstance(K, Mapping) else None,
        pattern_descriptors=None if ids is None else {_IDS: list(ids)},
    )


def from_rdms(rdms: "RDMs", *, kernel: Kernel | str) -> np.ndarray:
    """Turn rsatoolbox's RDMs into RSMs, for `semrsm.cka`, `hsic` and whatever else takes similarities.

    From dissimilarity to similarity: 1 - D for cosine and RBF. For the linear kernel the RDM must hold squared
    Euclidean distances, and the RSM is the centred one, -H D H / 2 with H = I - 1/n: distances do not tell where the
    origin is. CKA does not depend on it.

    Args:
        rdms: k RDMs of n conditions.
        kernel: What the RSMs shall be.

    Returns:
        RSMs [k, n, n]; their order is that of `rdms`.

    Raises:
        ValueError: A dissimilarity is missing (NaN).
    """
    distances = np.asarray(rdms.get_matrices(), np.float64)
    if not np.isfinite(distances).all():
        raise ValueError(f"RDMs must be complete, got {np.isnan(distances).sum()} missing values")
    if Kernel(kernel) is not Kernel.linear:
        return np.asarray(1 - distances)
    rows = distances - distances.mean(axis=1, keepdims=True)
    return np.asarray(-(rows - rows.mean(axis=2, keepdims=True)) / 2)


def _stacked(K: Any) -> list[np.ndarray]:  # noqa: N803
    """One RSM or several, as a list."""
    array = np.asarray(as_array(K), np.float64)
    return [array] if array.ndim == 2 else list(array) if array.ndim == 3 else [np.atleast_1d(array)]


def _rdms_class() -> Any:
    """The class of rsatoolbox.

    Raises:
        SemrsmError: It is not installed.
    """
    try:
        from rsatoolbox.rdm import RDMs
    except ImportError as error:
        raise SemrsmError("rsatoolbox is not installed; run pip install 'semrsm[rsatoolbox]'") from error
    return RDMs
