"""Mean scores of `semrsm retrieve`, what permutation invariance gains, and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from semrsm_cli.config import RetrieveConfig
from semrsm_cli.data import LabelledImages, ResampleBy
from semrsm_cli.measures.resampling import cluster_interval
from semrsm_cli.measures.retrieval import best_of
from semrsm_cli.pipeline.rearrangements import MOVEMENT, informative
from semrsm_cli.rsm import Invariance
from semrsm_cli.tasks.retrieve.ranking import Ranking

__all__ = ["Resampled", "score_rows", "summarize"]

_COLUMNS = ("at_1", "ci_low", "ci_high", "best_of_5", "difference", "difference_low", "difference_high")
_MANY = {ResampleBy.scene: "scenes", ResampleBy.video: "videos", ResampleBy.query: "queries"}


@dataclass(frozen=True)
class Resampled:
    """What intervals resample: the group of each query, of which kind groups are, and how often they are drawn."""

    unit: ResampleBy
    groups: tuple[str, ...]
    n_resamples: int
    seed: int

    @classmethod
    def of(cls, queries: LabelledImages, config: RetrieveConfig) -> Self:
        """What the settings name, or what the data set holds for independent."""
        unit = config.resample_by or config.dataset.independent
        return cls(unit, queries.groups_by(unit), config.n_resamples, config.seed)

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(set(self.groups))

    def __str__(self) -> str:
        """What intervals resample, in words; empty where there is nothing to resample."""
        return f"{self.n_groups} {_MANY[self.unit]}" if self.n_resamples and self.n_groups > 1 else ""

    def interval(self, values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
        """Ends [2] of the interval of the mean of the queries' values [q]; the resamples are the same for all."""
        if not self.n_resamples or self.n_groups < 2:
            return np.full(2, np.nan)
        return cluster_interval(values, self.groups, n_resamples=self.n_resamples, seed=self.seed, limits=limits)

    def note(self) -> str:
        """What is to be said below the table of the scores."""
        gain = "difference: permutation less none, query by query"
        return f"Intervals: 95 % over the queries' {self}; {gain}." if str(self) else f"{gain.capitalize()}."


def score_rows(rankings: Sequence[Ranking], resampled: Resampled) -> list[dict[str, float]]:
    """Scores, intervals and gains of every ranking, as columns; all NaN where nothing is known of the images."""
    first = [None if ranking.scores is None else ranking.scores[:, 0] for ranking in rankings]
    plain = {r.kernel: scores for r, scores in zip(rankings, first, strict=True) if r.invariance is Invariance.none}
    rows = []
    for ranking, scores in zip(rankings, first, strict=True):
        row = dict.fromkeys(_COLUMNS, np.nan)
        if ranking.scores is not None and scores is not None:
            row["at_1"], row["best_of_5"] = scores.mean(), best_of(ranking.scores, 5).mean()
            row["ci_low"], row["ci_high"] = resampled.interval(scores, (0.0, 1.0))
            baseline = plain.get(ranking.kernel) if ranking.invariance is Invariance.permutation else None
            if baseline is not None:
                gain = scores - baseline
                row["difference"] = gain.mean()
                row["difference_low"], row["difference_high"] = resampled.interval(gain, (-1.0, 1.0))
        rows.append(row)
    return rows


def summarize(table: pd.DataFrame, resampled: Resampled) -> pd.DataFrame:
    """The table for a terminal: intervals as text, and above it what all rows have in common."""
    shown = table[["model", "dataset", "n_queries", "n_database", "metric"]].copy()
    shown["matching"] = max(table["matching"])
    shown["resampled"] = str(resampled) if table["at_1"].notna().any() else ""
    shown[["kernel", "invariance"]] = table[["kernel", "invariance"]]
    told = informative(table[list(MOVEMENT)])
    shown[told.columns] = told
    shown["at_1"] = table["at_1"]
    shown["at_1_95%"] = _as_text(table["ci_low"], table["ci_high"])
    shown["best_of_5"] = table["best_of_5"]
    shown["vs_none"] = table["difference"]
    shown["vs_none_95%"] = _as_text(table["difference_low"], table["difference_high"])
    return shown.assign(paper=table["paper"])


def _as_text(low: pd.Series, high: pd.Series) -> list[str]:
    """Intervals as `[0.500, 0.600]`, and nothing where there is none."""
    return ["" if np.isnan(a) else f"[{a:.3f}, {b:.3f}]" for a, b in zip(low, high, strict=True)]
