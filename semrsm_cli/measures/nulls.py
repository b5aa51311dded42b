"""What CKA is by chance: the images of one side shuffled, so that nothing but chance relates both sides.

Shuffled images have the same RSM with its rows and columns shuffled, so that nothing is matched anew, and the same
HSIC with itself. After centering, a permutation costs one look-up and one matrix product for all layers.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.arrays import as_array
from semrsm_cli.measures.cka import center_pair, cka_matrix, normalize_hsic
from semrsm_cli.measures.resampling import group_codes
from semrsm_cli.rsm.threads import available_cores, run, single_threaded_blas

__all__ = [
    "MIN_OF_CLASS",
    "MIN_PERMUTATIONS",
    "CkaTest",
    "PermutedCka",
    "Seed",
    "cka_test",
    "compare_with_null",
    "draw_orders",
    "permute_cka",
    "permute_class_cka",
]

_FloatArray = NDArray[np.float64]
_Rsms = NDArray[np.floating]
_Batches = Iterable[tuple[ArrayLike, ArrayLike]]
Seed = int | Sequence[int]
"""What NumPy's generators take."""

MIN_PERMUTATIONS = 19
"""Of fewer, none may exceed what is measured at a level of 0.05, not even if it is the largest."""
MIN_OF_CLASS = 4
"""Images of a class in a mini-batch, below which its CKA says nothing."""
_LEVEL = 0.95
_ROUNDING = 1e-9  # of CKA: permutations that leave an RSM as it is tie with it
_ORDERS_AT_ONCE = 16


class PermutedCka(NamedTuple):
    """CKA of all layers, and what it is with shuffled images.

    Attributes:
        cka: CKA [l_a, l_b] of the images as they are.
        permuted: CKA [n_permutations, l_a, l_b] with the images of the second model shuffled.
    """

    cka: _FloatArray
    permuted: _FloatArray


class CkaTest(NamedTuple):
    """CKA beside its null distribution, all of one shape.

    Attributes:
        cka: What was measured.
        null_mean: Its mean under permutations.
        null_95: The value that it exceeds with a chance of at most 5 % if only chance relates both sides.
        calibrated: max(0, (cka - null_95) / (1 - null_95)): 0 for what chance does too, 1 for equal RSMs; NaN where
            the null reaches 1 and nothing can exceed it.
        p_value: (1 + #(permuted >= cka)) / (1 + n_permutations), one-sided.
    """

    cka: _FloatArray
    null_mean: _FloatArray
    null_95: _FloatArray
    calibrated: _FloatArray
    p_value: _FloatArray


def cka_test(
    K: ArrayLike,  # noqa: N803
    L: ArrayLike,  # noqa: N803
    *,
    unbiased: bool = False,
    n_permutations: int = 1000,
    seed: Seed = 0,
) -> CkaTest:
    """CKA of two RSMs (Eq. 2), and whether it exceeds what it is when the images of L are shuffled.

    Permutation test of the null hypothesis that any image of the one side may belong to any of the other; with the
    calibrated value of Gröger et al. 2026 (arXiv 2602.14486). It is exact where images are independent of each other.
    Where they are related (frames of a scene, images of a class) it also rejects because both sides tell these apart;
    `permute_class_cka` asks for what they share beyond that.

    Args:
        K: RSM of n images, [n, n], of any kernel and invariance.
        L: RSM of the same images, [n, n].
        unbiased: Which estimator of HSIC to use.
        n_permutations: How many shuffles, at least 19.
        seed: Seed of the shuffles.

    Returns:
        CKA, mean and 95 % of its null, the calibrated value and the p-value, each a float64 without dimensions.

    Raises:
        ValueError: As `cka`, or if there are too few permutations.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2, 30, 200))
        >>> K, L = x @ x.swapaxes(1, 2)
        >>> test = cka_test(K, L)
        >>> round(float(test.cka), 2), round(float(test.null_mean), 2), float(test.calibrated)
        (0.87, 0.87, 0.0)
        >>> float(cka_test(K, K).calibrated)
        1.0
    """
    found = permute_cka(
        [(as_array(K)[None], as_array(L)[None])], unbiased=unbiased, n_permutations=n_permutations, seed=seed
    )
    return compare_with_null(found.cka[0, 0], found.permuted[:, 0, 0])


def compare_with_null(cka: ArrayLike, permuted: ArrayLike) -> CkaTest:
    """Set what was measured beside its null distribution.

    `null_95` is the ceil(0.95 (p + 1))-th smallest of p permuted values, which is exceeded where the p-value is at most
    0.05.

    Args:
        cka: What was measured, [...].
        permuted: The same with shuffled images, [p, ...].

    Returns:
        The null's mean and 95 %, the calibrated value and the p-value, each [...]; NaN where CKA is.

    Raises:
        ValueError: If p is below 19.
    """
    observed, values = np.asarray(cka, np.float64), np.asarray(permuted, np.float64)
    if len(values) < MIN_PERMUTATIONS:
        raise ValueError(f"a test at 5 % needs at least {MIN_PERMUTATIONS} permutations, got {len(values)}")
    rank = int(np.ceil(_LEVEL * (len(values) + 1)))
    critical = np.sort(values, axis=0)[rank - 1]
    room = 1 - critical
    calibrated = np.divide(observed - critical, room, out=np.full_like(observed, np.nan), where=room > _ROUNDING)
    as_large = np.count_nonzero(values >= observed - _ROUNDING, axis=0)
    p_value = np.where(np.isnan(observed), np.nan, (1 + as_large) / (1 + len(values)))
    return CkaTest(observed, values.mean(axis=0), critical, np.maximum(calibrated, 0.0), p_value)


def permute_cka(
    batches: _Batches,
    *,
    unbiased: bool = False,
    n_permutations: int = 1000,
    seed: Seed = 0,
    threads: int | None = None,
) -> PermutedCka:
    """CKA of all layers of one model with all of another, and what it is with the images of the second shuffled.

    Images are shuffled within their mini-batches, whose RSMs are all that is known, for all layers alike, so that a
    mean or a maximum over layers has its null, too. The result does not depend on the number of threads, nor does that
    of a pair of layers on which others there are.

    Args:
        batches: For each mini-batch of images the RSMs of both models, [l_a, n, n] and [l_b, n, n].
        unbiased: Which estimator of HSIC to use.
        n_permutations: How many shuffles.
        seed: Seed of the shuffles.
        threads: How many; None takes one for each core that this process may use.

    Returns:
        CKA as by `cka_matrix`, and permuted.

    Raises:
        ValueError: As `cka_matrix`.
    """
    batches = list(batches)
    observed = cka_matrix(batches, unbiased=unbiased)
    return PermutedCka(observed, _permute(batches, unbiased, n_permutations, seed, threads).permuted)


def permute_class_cka(
    batches: _Batches,
    classes: Sequence[Sequence[Hashable]],
    *,
    unbiased: bool = False,
    n_permutations: int = 1000,
    seed: Seed = 0,
    threads: int | None = None,
) -> PermutedCka:
    """CKA within classes, the mean over classes, and what it is with images shuffled within their classes.

    Only pairs of images of one class count, so that two models do not agree because both tell classes apart. Each class
    is a set of images of its own, with a mini-batch for each that holds at least four of it.

    Args:
        batches: For each mini-batch of images the RSMs of both models, [l_a, n, n] and [l_b, n, n].
        classes: For each mini-batch the class of each image, [n].
        unbiased: Which estimator of HSIC to use.
        n_permutations: How many shuffles.
        seed: Seed of the shuffles.
        threads: How many; None takes one for each core that this process may use.

    Returns:
        The mean over the classes, [l_a, l_b] and permuted; a class counts for those layers that vary within it. NaN
        where there is none.

    Raises:
        ValueError: As `cka_matrix`, or if classes are not as many as images.
    """
    batches = list(batches)
    shape = tuple(np.shape(rsms)[0] for rsms in batches[0])
    total = PermutedCka(np.zeros(shape), np.zeros((n_permutations, *shape)))
    count = np.zeros(shape)
    entropy = [seed] if isinstance(seed, int) else list(seed)
    for i, parts in enumerate(_split_by_class(batches, classes)):
        part = _permute(parts, unbiased, n_permutations, [*entropy, i], threads)
        defined = ~np.isnan(part.cka)
        count += defined
        total.cka[defined] += part.cka[defined]
        total.permuted[:, defined] += part.permuted[:, defined]
    with np.errstate(invalid="ignore"):
        return PermutedCka(total.cka / count, total.permuted / count)


def _split_by_class(
    batches: Sequence[tuple[ArrayLike, ArrayLike]], classes: Sequence[Sequence[Hashable]]
) -> Iterable[list[tuple[_Rsms, _Rsms]]]:
    """For each class, in the order of their first appearance, the RSMs of its images in each mini-batch."""
    of_class: dict[Hashable, list[tuple[_Rsms, _Rsms]]] = {}
    for pair, names in zip(batches, classes, strict=True):
        a, b = map(np.asarray, pair)
        if len(names) != a.shape[-1]:
            raise ValueError(f"classes must be of the same images, got {len(names)} for {a.shape[-1]} images")
        codes = group_codes(names)
        for code, name in enumerate(dict.fromkeys(names)):
            members = np.flatnonzero(codes == code)
            if len(members) >= MIN_OF_CLASS:
                rows, columns = np.ix_(members, members)
                of_class.setdefault(name, []).append((a[:, rows, columns], b[:, rows, columns]))
    return of_class.values()


def draw_orders(sizes: Sequence[int], n_permutations: int, seed: Seed) -> list[NDArray[np.intp]]:
    """Random orders [n_permutations, n] of the images of mini-batches of so many images."""
    rng = np.random.default_rng(seed)
    return [rng.permuted(np.tile(np.arange(n), (n_permutations, 1)), axis=1) for n in sizes]


def _permute(
    batches: Iterable[tuple[ArrayLike, ArrayLike]],
    unbiased: bool,
    n_permutations: int,
    seed: Seed,
    threads: int | None,
) -> PermutedCka:
    """CKA as it is and permuted; NaN where an RSM is constant."""
    parts = [_Centered.of(a, b, unbiased=unbiased) for a, b in batches]
    orders = draw_orders([part.n for part in parts], n_permutations, seed)

    def permuted_hsic(start: int) -> _FloatArray:
        stop = min(start + _ORDERS_AT_ONCE, n_permutations)
        return np.stack(
            [sum(part.hsic(order[k]) for part, order in zip(parts, orders, strict=True)) for k in range(start, stop)]
        )

    with single_threaded_blas():
        cross = sum(part.hsic(np.arange(part.n)) for part in parts)
        blocks = run(permuted_hsic, range(0, n_permutations, _ORDERS_AT_ONCE), threads or available_cores())
        permuted = [block for _, block in sorted(blocks, key=lambda done: done[0])]
    scales = [sum(part.self_hsic[side] for part in parts) for side in (0, 1)]
    values = normalize_hsic(np.concatenate([np.asarray(cross)[None], *permuted]), *map(np.asarray, scales))
    return PermutedCka(values[0], values[1:])


@dataclass(frozen=True, eq=False)
class _Centered:
    """The centered RSMs of a mini-batch, such that permuted HSICs are one matrix product.

    Attributes:
        n: Images.
        pairs: Rows and columns [t] of the pairs i <= j.
        of_a: The RSMs of the first model at these pairs [l_a, t], those off the diagonal twice.
        of_b: The RSMs of the second model [n * n, l_b], all layers of a pair beside each other.
        self_hsic: HSIC of each RSM with itself, [l_a] and [l_b].
    """

    n: int
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
    of_a: _FloatArray
    of_b: _FloatArray
    self_hsic: tuple[_FloatArray, _FloatArray]

    @classmethod
    def of(cls, rsms_a: ArrayLike, rsms_b: ArrayLike, *, unbiased: bool) -> Self:
        """Center the RSMs [l_a, n, n] and [l_b, n, n]."""
        n = np.shape(rsms_a)[-1]
        a, b = center_pair(rsms_a, rsms_b, unbiased=unbiased)
        self_hsic = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
        i, j = np.triu_indices(n)
        twice = np.where(i < j, 2.0, 1.0)
        return cls(n, (i, j), a[:, i * n + j] * twice, np.ascontiguousarray(b.T), self_hsic)

    def hsic(self, order: NDArray[np.intp]) -> _FloatArray:
        """HSIC [l_a, l_b] with the images of the second model in another order [n]."""
        i, j = self.pairs
        return np.asarray(self.of_a @ self.of_b.take(order[i] * self.n + order[j], axis=0))
