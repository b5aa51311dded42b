"""Centered kernel alignment of precomputed RSMs: of any kernel and invariance, positive semi-definite or not.

Both HSIC estimators are inner products of centered RSMs, hence one matrix product compares all layers with all others.
"""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.arrays import as_array

__all__ = ["Estimator", "center_pair", "cka", "cka_matrix", "hsic", "minibatch_cka", "normalize_hsic"]

_FloatArray = NDArray[np.float64]
_MAX_ASYMMETRY = 1e-3  # of the largest entry: rounding in half precision passes, an RSM of two image sets does not


class Estimator(StrEnum):
    """How HSIC is estimated: `biased` as in Eq. 1 of the paper, or `unbiased` (Song et al. 2012)."""

    biased = "biased"
    unbiased = "unbiased"


def hsic(K: ArrayLike, L: ArrayLike, *, unbiased: bool = False) -> float:  # noqa: N803
    """Hilbert-Schmidt independence criterion of two RSMs [n, n] of the same images.

    Biased (Eq. 1): tr(K H L H) / (n - 1)^2 with H = I - 1/n. Unbiased (Song et al. 2012), with zeros on both diagonals:
    [tr(K L) + sum(K) sum(L) / ((n - 1)(n - 2)) - 2 sum(K L) / (n - 2)] / (n (n - 3)).

    Args:
        K: RSM of n images, [n, n], of any kernel and invariance.
        L: RSM of the same images, [n, n], for example of another layer.
        unbiased: Which estimator to use.

    Returns:
        HSIC in the product of both RSMs' units.

    Raises:
        ValueError: If the RSMs are not square, symmetric, finite and of one size, or n < 2 (unbiased: n < 4).

    Example:
        >>> hsic([[1.0, 0.5], [0.5, 1.0]], [[3.0, 1.0], [1.0, 5.0]])
        1.5
    """
    rows_k, rows_l = center_pair(as_array(K)[None], as_array(L)[None], unbiased=unbiased)
    return float(rows_k[0] @ rows_l[0])


def cka(K: ArrayLike, L: ArrayLike, *, unbiased: bool = False) -> float:  # noqa: N803
    """Centered kernel alignment (Eq. 2): HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), within [-1, 1].

    Of positive semi-definite RSMs the biased CKA is at least 0; the unbiased one of independent data scatters around 0.

    Args:
        K: RSM of n images, [n, n], of any kernel and invariance.
        L: RSM of the same images, [n, n].
        unbiased: Which estimator of HSIC to use.

    Returns:
        CKA, unitless; 1 for RSMs that are equal up to scale and a constant.

    Raises:
        ValueError: As `hsic`, or if an RSM is constant.

    Example:
        >>> K = [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
        >>> L = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 1.0]]
        >>> round(cka(K, L), 3), round(cka(K, K), 3)
        (0.664, 1.0)
    """
    return minibatch_cka([(K, L)], unbiased=unbiased)


def minibatch_cka(batches: Iterable[tuple[ArrayLike, ArrayLike]], *, unbiased: bool = True) -> float:
    """CKA over mini-batches of images, each a pair of RSMs [n, n]: each HSIC is summed before the ratio is taken.

    Every batch has the same weight. With the unbiased HSIC the size of the batches does not matter, up to sampling
    (Nguyen et al. 2021).

    Args:
        batches: Pairs of RSMs, both [n, n]; n may differ between batches.
        unbiased: Which estimator of HSIC to use.

    Returns:
        CKA within [-1, 1].

    Raises:
        ValueError: As `hsic`, or if a layer is constant in all batches, or there is no batch.
    """
    stacks = ((as_array(K)[None], as_array(L)[None]) for K, L in batches)
    return float(cka_matrix(stacks, unbiased=unbiased)[0, 0])


def cka_matrix(batches: Iterable[tuple[ArrayLike, ArrayLike]], *, unbiased: bool = False) -> _FloatArray:
    """CKA of all layers of one model with all of another [l_a, l_b], one matrix product a batch.

    Args:
        batches: For each (mini-)batch of images the RSMs of both models, [l_a, n, n] and [l_b, n, n]; HSIC is summed
            over the batches before the ratio is taken. Give one array twice to compare a model with itself.
        unbiased: Which estimator of HSIC to use.

    Returns:
        CKA of every layer of the first model with every layer of the second, float64 [l_a, l_b].

    Raises:
        ValueError: As `hsic`, or if a layer is constant in all batches, or there is no batch.
    """
    cross = self_a = self_b = np.zeros(())
    for rsms_a, rsms_b in batches:
        rows_a, rows_b = center_pair(rsms_a, rsms_b, unbiased=unbiased)
        cross = cross + rows_a @ rows_b.T
        self_a = self_a + np.einsum("ij,ij->i", rows_a, rows_a)
        self_b = self_b + np.einsum("ij,ij->i", rows_b, rows_b)
    if cross.ndim == 0:
        raise ValueError("CKA needs at least one batch of RSMs, got none")
    for side, self_hsic in (("first", self_a), ("second", self_b)):
        if (constant := np.flatnonzero(self_hsic == 0.0)).size:
            raise ValueError(f"CKA is undefined: RSM {constant[0]} of the {side} model is constant, so its HSIC is 0")
    return normalize_hsic(cross, self_a, self_b)


def normalize_hsic(cross: _FloatArray, self_a: _FloatArray, self_b: _FloatArray) -> _FloatArray:
    """CKA [..., l_a, l_b] from HSICs of both models [..., l_a, l_b] and of each with itself; NaN where one is 0."""
    scale = np.sqrt(np.outer(self_a, self_b))
    ratio = np.divide(cross, scale, out=np.full_like(cross, np.nan), where=scale > 0)
    return np.clip(ratio, -1.0, 1.0)


def center_pair(rsms_a: ArrayLike, rsms_b: ArrayLike, *, unbiased: bool) -> tuple[_FloatArray, _FloatArray]:
    """RSMs of the same images [l_a, n, n] and [l_b, n, n] as rows, such that HSIC is the inner product of two rows.

    Raises:
        ValueError: As `hsic`.
    """
    n_a, n_b = np.shape(rsms_a)[-1], np.shape(rsms_b)[-1]
    if n_a != n_b:
        raise ValueError(f"both RSMs must compare the same images, got {n_a} and {n_b}")
    rows_a = _center(rsms_a, unbiased=unbiased)
    return rows_a, rows_a if rsms_b is rsms_a else _center(rsms_b, unbiased=unbiased)


def _center(rsms: ArrayLike, *, unbiased: bool) -> _FloatArray:
    """RSMs [l, n, n] as rows [l, n * n], centered and scaled such that HSIC is the inner product of two rows.

    Biased: H K H / (n - 1). Unbiased: the U-centered RSM (Székely and Rizzo 2014) / sqrt(n (n - 3)). A sum of squares
    can't be negative, so neither can the HSIC of an RSM with itself.
    """
    centered = np.array(rsms, dtype=np.float64)
    _check(centered, unbiased=unbiased)
    n = centered.shape[1]
    diagonal = np.einsum("lii->li", centered)  # a view
    if unbiased:
        diagonal[:] = 0.0
    norm = np.sqrt(np.einsum("lij,lij->l", centered, centered))
    if unbiased:
        row_sum = centered.sum(axis=2)
        centered -= row_sum[:, :, None] / (n - 2)
        centered -= row_sum[:, None, :] / (n - 2)
        centered += row_sum.sum(axis=1)[:, None, None] / ((n - 1) * (n - 2))
        diagonal[:] = 0.0
    else:
        centered -= centered.mean(axis=2, keepdims=True)
        centered -= centered.mean(axis=1, keepdims=True)
    rows = centered.reshape(len(centered), n * n)
    rounding = 8 * n * np.finfo(np.float64).eps * norm
    rows[np.sqrt(np.einsum("ij,ij->i", rows, rows)) <= rounding] = 0.0  # constant, but for rounding
    rows /= np.sqrt(n * (n - 3)) if unbiased else n - 1
    return rows


def _check(rsms: _FloatArray, *, unbiased: bool) -> None:
    if rsms.ndim != 3 or rsms.shape[1] != rsms.shape[2]:
        raise ValueError(f"every RSM must be [n, n], got {list(rsms.shape[1:])}")
    estimator, needed = ("unbiased", 4) if unbiased else ("biased", 2)
    if rsms.shape[1] < needed:
        raise ValueError(f"the {estimator} HSIC needs at least {needed} images, got {rsms.shape[1]}")
    for layer, rsm in enumerate(rsms):
        if not np.isfinite(rsm).all():
            raise ValueError(f"RSM {layer} holds NaN or infinity")
        difference = np.abs(rsm - rsm.T).max()
        if difference > _MAX_ASYMMETRY * np.abs(rsm).max():
            raise ValueError(f"RSM {layer} must be symmetric, but entries (i, j) and (j, i) differ by {difference:.3g}")
