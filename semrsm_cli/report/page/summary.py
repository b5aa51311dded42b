"""The findings in a sentence each, from the runs' own numbers, for those who have not read the paper."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from semrsm_cli.report.layout import METRIC_TITLE
from semrsm_cli.report.page.content import Bar, Card, interval_text, number_text
from semrsm_cli.report.page.results import Results, agreement_of, command_of

__all__ = ["HOLDS", "MIXED", "OPEN", "REVERSED", "UNLABELLED", "answer_of", "find_cards"]

HOLDS, MIXED, REVERSED = "seen here", "not clear here", "the other way round here"
OPEN, UNLABELLED = "not run", "no labels to tell by"
_PLAIN, _SEMANTIC = "position by position", "semantic"
_DIFFERENCE = 1e-9  # below, two numbers are the same


@dataclass(frozen=True)
class _Contrast:
    """Position by position against semantic, each over the networks at hand, and the gain with its interval."""

    plain: float
    semantic: float
    low: float
    high: float
    networks: list[str]
    paper: tuple[float, float]

    @property
    def status(self) -> str:
        """Whether the gain is clear: its interval, or where there is none its sign."""
        if not np.isnan(self.low):
            return HOLDS if self.low > 0 else REVERSED if self.high < 0 else MIXED
        gain = self.semantic - self.plain
        return HOLDS if gain > _DIFFERENCE else REVERSED if gain < -_DIFFERENCE else MIXED


def find_cards(results: Results) -> list[Card]:
    """A card a finding, those that were not run too."""
    return [_translation_card(results), _retrieval_card(results), _correlation_card(results)]


def answer_of(cards: Sequence[Card]) -> str:
    """In how many experiments the semantic side does better, in a sentence; empty where none was run."""
    counts = Counter(card.status for card in cards)
    better, unclear, worse = counts[HOLDS], counts[MIXED], counts[REVERSED]
    n = better + unclear + worse
    if not n:
        return ""
    where = {1: "the one experiment", 2: "both experiments"}.get(n, f"all {n} experiments")
    where = where if better == n else f"{better} of {n} experiments"
    others = [f"in {unclear} the difference is not clear"] if unclear else []
    others += [f"in {worse} it does worse"] if worse else []
    return f"Semantic similarity does better than position by position in {'; '.join([f'{where} here', *others])}."


def _translation_card(results: Results) -> Card:
    title, link = "Shifted content is recognised", "separation"
    rows = _one_way_each(results, results.rows("separation"))
    both = _sides(rows, "auc", ["label", "dataset", "layer", "kernel", "seed"])
    if both.empty:
        return Card(title, OPEN, "No run of semrsm translate is among these.")
    plain, semantic = both["none"].mean(), both["permutation"].mean()
    text = (
        "Are overlapping crops of one photograph told from unrelated ones, though what they share stands elsewhere? "
        f"Means over {_count(both['layer'].nunique(), 'layer')} of {_names(both['label'])}; at single layers "
        f"{_range(both['permutation'])} semantic, {_range(both['none'])} position by position."
    )
    gains = (both["permutation"] - both["none"]).to_numpy()
    better, worse = int((gains > _DIFFERENCE).sum()), int((gains < -_DIFFERENCE).sum())
    status = HOLDS if plain < semantic and better > worse else MIXED if plain <= semantic else REVERSED
    measure = "Area under the ROC curve: 1 is perfect, 0.5 is chance"
    return Card(title, status, text, link, measure, _bars(plain, semantic))


def _retrieval_card(results: Results) -> Card:
    title, link = "Neighbours show the same things", "retrieval"
    rows = _one_way_each(results, results.rows("retrieval"))
    scored = rows[rows["at_1"].notna()] if not rows.empty else rows
    contrast = _contrast(scored, ("dataset", "n_database", "metric"), "at_1", "paper")
    if contrast is None:
        agreed = _agreement_text(results)
        return (
            Card(title, UNLABELLED, agreed, link)
            if agreed
            else Card(title, OPEN, "No run of semrsm retrieve is among these.")
        )
    (dataset, size, metric), kernel, found = contrast
    text = (
        f"Does the nearest of {size:,.0f} images of {dataset} show what the query shows? Semantic similarity brings "
        f"a gain of {_gain(found)} ({kernel} kernel, {_names(found.networks)}).{_printed(found)}"
    )
    measure = f"{METRIC_TITLE.get(str(metric), str(metric))}: 1 is perfect"
    return Card(title, found.status, text, link, measure, _bars(found.plain, found.semantic))


def _agreement_text(results: Results) -> str:
    """How far both ways to compare agree on neighbours, of the first retrieval that tells; empty where none does."""
    for run in results.runs_of("retrieval"):
        shares = agreement_of(run)
        shares = shares[(shares["invariance_a"] == "none") & (shares["invariance_b"] == "permutation")]
        if shares.empty:
            continue
        row = shares.iloc[0]
        return (
            f"Nothing is known of what the images of {results.dataset_of(run)} show. The first neighbour is the same "
            f"for {row['same_first']:.0%} of the queries, whether compared semantically or position by position, and "
            f"so are {row['overlap']:.0%} of the nearest {row['n_neighbours']:.0f} ({row['kernel']} kernel, "
            f"{results.label_of(run)})."
        )
    return ""


def _correlation_card(results: Results) -> Card:
    title, link = "Similarity foretells the output", "correlation"
    rows = _one_way_each(results, results.rows("correlation"))
    if not rows.empty:  # the more negative the better: turned round, a gain is positive as for the others
        flipped = {name: -rows[name] for name in ("pearson", "paper_pearson")}
        rows = rows.assign(**flipped, difference_low=np.nan, difference_high=np.nan)
    contrast = _contrast(rows, ("dataset", "n_samples"), "pearson", "paper_pearson")
    if contrast is None:
        return Card(title, OPEN, "No run of semrsm correlate is among these.")
    (dataset, n_samples), kernel, found = contrast
    low, high = _interval_of_difference(results, str(dataset), int(str(n_samples)), kernel)
    found = replace(found, low=low, high=high)
    text = (
        f"Are images that a network represents alike classified alike, too? Over the pairs of {n_samples:,.0f} images "
        f"of {dataset}, semantic similarity brings a gain of {_gain(found)} towards {number_text(-1, 0)} ({kernel} "
        f"kernel, {_names(found.networks)}).{_printed(found, sign=-1)}"
    )
    measure = f"Correlation with how far the outputs differ: {number_text(-1, 0)} is perfect, 0 is none"
    return Card(title, found.status, text, link, measure, _bars(found.plain, found.semantic, sign=-1))


def _one_way_each(results: Results, rows: pd.DataFrame) -> pd.DataFrame:
    """Of each network and set one way to run it, the one that sets least: unlike runs have no mean."""
    if rows.empty:
        return rows
    words = {run.path.as_posix(): len(command_of(run)) for run in results.runs}
    ways = rows.assign(words=rows["run"].map(words)).sort_values(["words", "label"], kind="stable")
    chosen = ways.groupby(["model", "dataset"], sort=False)["settings"].transform("first")
    return rows.loc[(ways["settings"] == chosen).sort_index()]


def _contrast(
    rows: pd.DataFrame, of_set: tuple[str, ...], value: str, paper: str
) -> tuple[tuple[object, ...], str, _Contrast] | None:
    """The two sides on the set with most networks, and of those the largest, under cosine where it was run."""
    if rows.empty or not {"none", "permutation"} <= set(rows["invariance"]):
        return None
    sides = rows[rows["invariance"].isin(["none", "permutation"])]
    groups = {
        keys: group for keys, group in sides.groupby(list(of_set), sort=True) if group["invariance"].nunique() == 2
    }
    if not groups:
        return None
    size = 1 if len(of_set) > 1 else 0
    keys = max(groups, key=lambda keys: (groups[keys]["label"].nunique(), keys[size], str(keys)))
    group = groups[keys]
    kernels = list(dict.fromkeys(group["kernel"]))
    kernel = "cosine" if "cosine" in kernels else str(kernels[0])
    both = _sides(group[group["kernel"] == kernel], value, ["label", "seed", "settings", "images"])
    if both.empty:
        return None
    printed = _sides(group[group["kernel"] == kernel], paper, ["label", "seed", "settings", "images"])
    semantic = group[(group["kernel"] == kernel) & (group["invariance"] == "permutation")]
    ends = (
        semantic.get("difference_low", pd.Series(dtype=float)),
        semantic.get("difference_high", pd.Series(dtype=float)),
    )
    return (
        tuple(keys),
        kernel,
        _Contrast(
            plain=float(both["none"].mean()),
            semantic=float(both["permutation"].mean()),
            low=float(ends[0].mean()),
            high=float(ends[1].mean()),
            networks=list(dict.fromkeys(both["label"])),
            paper=(float(printed["none"].mean()), float(printed["permutation"].mean()))
            if len(printed)
            else (np.nan, np.nan),
        ),
    )


def _sides(rows: pd.DataFrame, value: str, keys: list[str]) -> pd.DataFrame:
    """Both invariances of what both have, beside each other."""
    if rows.empty:
        return rows
    wide = rows[rows[value].notna()].pivot_table(value, keys, "invariance", sort=False)
    if not {"none", "permutation"} <= set(wide.columns):
        return pd.DataFrame()
    return wide.dropna(subset=["none", "permutation"]).reset_index()


def _interval_of_difference(results: Results, dataset: str, n_samples: int, kernel: str) -> tuple[float, float]:
    """The mean ends of the intervals of the gain in Pearson's correlation that the runs' tests give."""
    ends = []
    for run in results.runs_of("correlation"):
        rows = run.table("correlation")
        if not ((rows["dataset"].astype(str) == dataset) & (rows["n_samples"] == n_samples)).any():
            continue
        try:
            tests = pd.read_csv(run.path / "tables" / "tests.csv")
            of_kernel = tests[(tests["kernel"] == kernel) & (tests["statistic"] == "pearson")]
            ends.append((-float(of_kernel["difference_high"].iloc[0]), -float(of_kernel["difference_low"].iloc[0])))
        except (OSError, ValueError, KeyError, IndexError):
            return np.nan, np.nan
    return tuple(np.mean(ends, axis=0)) if ends else (np.nan, np.nan)


def _gain(found: _Contrast) -> str:
    """The gain, with its interval where there is one."""
    gain = number_text(found.semantic - found.plain, 3, sign=True)
    if np.isnan(found.low):
        return gain
    return f"{gain} {interval_text(found.low, found.high, sign=True)}"


def _printed(found: _Contrast, sign: int = 1) -> str:
    if np.isnan(found.paper).any():
        return ""
    plain, semantic = (number_text(sign * value, 2) for value in found.paper)
    return f" The paper prints {semantic} and {plain}."


def _bars(plain: float, semantic: float, sign: int = 1) -> list[Bar]:
    largest = max(abs(plain), abs(semantic), 1e-12)
    return [
        Bar(name, number_text(sign * value, 2), round(100 * max(0.0, value) / largest, 1), name == _SEMANTIC)
        for name, value in ((_PLAIN, plain), (_SEMANTIC, semantic))
    ]


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _range(values: "pd.Series[float]") -> str:
    return f"{number_text(values.min(), 2)} to {number_text(values.max(), 2)}"


def _names(labels: "pd.Series[str] | list[str]") -> str:
    """One network by its name, several by their number."""
    names = list(dict.fromkeys(map(str, labels)))
    return names[0] if len(names) == 1 else f"mean of {len(names)} networks"
