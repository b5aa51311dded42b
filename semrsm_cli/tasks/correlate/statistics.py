"""Correlations of a similarity with the divergence, their intervals, and how those of two invariances differ."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.measures.agreement import pearson, permutation_test, resample_correlation
from semrsm_cli.measures.pairs import Rows
from semrsm_cli.measures.resampling import holm, percentile_interval

__all__ = ["STATISTICS", "Agreement", "Ranked", "Target", "compare", "note_on_tests", "with_holm"]

STATISTICS = ("pearson", "spearman")
_NO_INTERVAL = (np.nan, np.nan)


@dataclass(frozen=True)
class Ranked:
    """A similarity or divergence of all pairs [n, n], and the pairs' ranks."""

    values: Rows
    ranks: Rows

    def of(self, statistic: str) -> Rows:
        """Pearson's correlation is that of the values, Spearman's that of the ranks."""
        return self.values if statistic == "pearson" else self.ranks


@dataclass(frozen=True)
class Target(Ranked):
    """The divergence that similarities are correlated with, and the group of each image; None where each is its own."""

    groups: tuple[str, ...] | None = None

    @property
    def n_groups(self) -> int:
        """How many groups there are to resample."""
        return self.values.shape[0] if self.groups is None else len(set(self.groups))

    @property
    def resampled(self) -> str:
        """What intervals resample, in words; empty where there is nothing to resample."""
        if self.n_groups < 2:
            return ""
        return f"{self.n_groups} {'images' if self.n_groups == self.values.shape[0] else 'groups of images'}"


@dataclass(frozen=True)
class Agreement:
    """Both correlations of a similarity with the target, and those of resamples [b], where there are any."""

    similarity: Ranked
    values: dict[str, float]
    resamples: dict[str, np.ndarray]

    @classmethod
    def of(cls, similarity: Ranked, target: Target, config: CorrelateConfig) -> Self:
        """Correlate, and resample as the settings say."""
        values, resamples = {}, {}
        for statistic in STATISTICS:
            x, y = similarity.of(statistic), target.of(statistic)
            values[statistic] = pearson(x, y)
            if config.n_resamples and target.n_groups > 1:
                resamples[statistic] = resample_correlation(
                    x, y, groups=target.groups, n_resamples=config.n_resamples, seed=config.seed
                )
        return cls(similarity, values, resamples)

    def columns(self) -> dict[str, float]:
        """The correlations with their intervals, as columns of a table."""
        columns = {}
        for statistic, value in self.values.items():
            columns[statistic] = value
            interval = percentile_interval(self.resamples[statistic]) if self.resamples else _NO_INTERVAL
            columns[f"{statistic}_low"], columns[f"{statistic}_high"] = interval
        return columns


def compare(semantic: Agreement, plain: Agreement, target: Target, config: CorrelateConfig) -> list[dict[str, Any]]:
    """Is the one correlated otherwise than the other? One row a statistic, with an interval from the same resamples."""
    rows = []
    for statistic in STATISTICS:
        row = {
            "statistic": statistic,
            "difference": semantic.values[statistic] - plain.values[statistic],
            "p_value": np.nan,
            "n_permutations": config.n_permutations,
            **dict.fromkeys(("difference_low", "difference_high"), np.nan),
        }
        if config.n_permutations and target.n_groups > 1:
            row["p_value"] = permutation_test(
                semantic.similarity.of(statistic),
                plain.similarity.of(statistic),
                target.of(statistic),
                groups=target.groups,
                n_permutations=config.n_permutations,
                seed=config.seed,
            ).p_value
        if semantic.resamples and plain.resamples:
            differences = semantic.resamples[statistic] - plain.resamples[statistic]
            row["difference_low"], row["difference_high"] = percentile_interval(differences)
        rows.append(row)
    return rows


def with_holm(tests: pd.DataFrame) -> pd.DataFrame:
    """The tests of a run with their p-values corrected for all of them."""
    return tests.assign(p_holm=holm(tests["p_value"])) if len(tests) else tests


def note_on_tests(tests: pd.DataFrame, target: Target) -> str:
    """What is to be said below the table of the tests."""
    note = "Difference of the correlations, permutation less none"
    if tests["difference_low"].notna().any():
        note += f", with its 95 % interval over {target.resampled}"
    if tests["p_value"].notna().any():
        note += ". The permutation test is approximate; p_holm is p_value corrected for all tests of this run (Holm)"
    return f"{note}."
