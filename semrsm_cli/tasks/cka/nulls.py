"""What CKA is by chance in `semrsm cka`, over all images and within classes, and the columns that tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semrsm_cli.measures.cka import Estimator
from semrsm_cli.measures.nulls import CkaTest, PermutedCka, compare_with_null, permute_cka, permute_class_cka
from semrsm_cli.report.progress import log

__all__ = ["NULL_COLUMNS", "Shuffling", "log_lonely", "mean_of", "null_columns", "test_over_draws"]

_OF_TEST = ("null_mean", "null_95", "calibrated", "p_value")
NULL_COLUMNS = (*_OF_TEST, "class_cka", *(f"class_{name}" for name in _OF_TEST))
"""The last columns of each table: of all images, and within classes."""
_Rsms = np.ndarray


@dataclass(frozen=True)
class Shuffling:
    """How the images of a draw are shuffled.

    Attributes:
        estimator: How HSIC is estimated.
        n_permutations: How often.
        seed: Seed of the draw.
        threads: How many.
        orders: For each mini-batch its images in an order that does not depend on files, as places in it.
        class_names: For each mini-batch the class of each image, in that order; None where it is not known.
    """

    estimator: Estimator
    n_permutations: int
    seed: tuple[int, int]
    threads: int | None
    orders: Sequence[np.ndarray]
    class_names: Sequence[Sequence[str]] | None

    def permute(self, batches: Sequence[tuple[_Rsms, _Rsms]]) -> dict[str, PermutedCka]:
        """CKA of the RSMs [l, n, n] of two networks as it is and permuted, over `all` images and within `classes`."""
        if not self.n_permutations:
            return {}
        ordered = [
            (a[:, order][:, :, order], b[:, order][:, :, order])
            for (a, b), order in zip(batches, self.orders, strict=True)
        ]
        is_unbiased = self.estimator is Estimator.unbiased
        permuted = {
            "all": permute_cka(
                ordered,
                unbiased=is_unbiased,
                n_permutations=self.n_permutations,
                seed=(*self.seed, 1),
                threads=self.threads,
            )
        }
        if self.class_names is not None:
            permuted["classes"] = permute_class_cka(
                ordered,
                self.class_names,
                unbiased=is_unbiased,
                n_permutations=self.n_permutations,
                seed=(*self.seed, 2),
                threads=self.threads,
            )
        return permuted


def mean_of(networks: Sequence[PermutedCka]) -> PermutedCka:
    """The mean over networks, or pairs of them, whose images were shuffled alike."""
    return PermutedCka(*(np.mean(values, axis=0) for values in zip(*networks, strict=True)))


def test_over_draws(draws: Sequence[PermutedCka]) -> CkaTest:
    """The test of the mean over draws of the images.

    The permuted values of each draw are sorted before the mean is taken, as if draws varied together: they may share
    images, and the mean of unrelated ones would vary too little.
    """
    permuted = np.mean([np.sort(draw.permuted, axis=0) for draw in draws], axis=0)
    return compare_with_null(np.mean([draw.cka for draw in draws], axis=0), permuted)


def null_columns(draws: Mapping[str, Sequence[PermutedCka]]) -> dict[str, np.ndarray | float]:
    """The last columns of a table, each of the shape of CKA; NaN where nothing was permuted.

    Args:
        draws: CKA and permuted CKA of each draw, over `all` images and within `classes`.
    """
    columns: dict[str, np.ndarray | float] = dict.fromkeys(NULL_COLUMNS, np.nan)
    for kind, prefix in (("all", ""), ("classes", "class_")):
        if draws.get(kind):
            test = test_over_draws(draws[kind])
            columns |= {f"{prefix}{name}": getattr(test, name) for name in _OF_TEST}
            if prefix:
                columns["class_cka"] = test.cka
    return columns


def log_lonely(permuted: Mapping[str, PermutedCka]) -> None:
    """Say where no class has enough images for a CKA of its own."""
    if "classes" in permuted and np.isnan(permuted["classes"].cka).all():
        log("no class has 4 images in a mini-batch, which its CKA needs; give more images, or larger mini-batches")
