"""All that the page of `semrsm report` is made from, in an order that the files' times have no part in."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report import paper
from semrsm_cli.report.differences import Settings
from semrsm_cli.report.runs import TABLES, Run, read_table

__all__ = ["Results", "agreement_of", "by_paper", "command_of"]

_KERNELS = ("cosine", "linear", "rbf")
_DATASETS = ("egoobjects", "cityscapes", "imagenet")
_AGREEMENT = ("kernel", "invariance_a", "invariance_b", "n_neighbours", "same_first", "overlap")
_INVARIANCES = ("none", "translation", "pooled", "maxsim", "permutation")


@dataclass(frozen=True)
class Results:
    """What a report has put together.

    Attributes:
        runs: The finished runs.
        left_out: Folders of the others, and what is wrong with each.
        joined: The joined rows of each table.
        verdicts: The verdict on each printed number.
        sensitivity: What each open choice moves, by table.
        tables: Names of the tables in the report's own folder that have all formats.
        figures: The report's own figures, by name.
    """

    runs: Sequence[Run]
    left_out: Mapping[Path, str]
    joined: Mapping[str, pd.DataFrame]
    verdicts: pd.DataFrame
    sensitivity: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    tables: Sequence[str] = ()
    figures: Mapping[str, Path] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of the runs, by their hash."""
        return {run.identity: run.settings for run in self.runs}

    def runs_of(self, name: str) -> list[Run]:
        """The runs that left table `name`, by their folders."""
        return sorted((run for run in self.runs if name in run.tables), key=lambda run: run.path.as_posix())

    def rows(self, name: str) -> pd.DataFrame:
        """The joined rows of a table as the paper orders them; empty where there are none."""
        rows = self.joined.get(name, pd.DataFrame())
        return rows if rows.empty else by_paper(rows, [*TABLES[name], "label", "seed", "run"])

    def label_of(self, run: Run) -> str:
        """What a run's network is called on the page."""
        for name in run.tables:
            if name == "rsm":  # whose rows are called by their arrays
                continue
            rows = self.joined.get(name, pd.DataFrame())
            if not rows.empty and (rows["run"] == run.path.as_posix()).any():
                return str(rows.loc[rows["run"] == run.path.as_posix(), "label"].iloc[0])
        return str(run.settings.get("model.label") or run.path.name)

    def dataset_of(self, run: Run) -> str:
        """What a run's images are called; empty where they are the user's own arrays."""
        return str(run.settings.get("dataset.name") or "")


def agreement_of(run: Run) -> pd.DataFrame:
    """How far the invariances of a retrieval agree on neighbours; empty where the run does not tell."""
    try:
        return read_table(run.path / "tables" / "agreement.csv", _AGREEMENT)
    except SemrsmError:  # of an older run, or foreign
        return pd.DataFrame(columns=list(_AGREEMENT))


def by_paper(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Rows by some columns: models, kernels and invariances as the paper has them, then by name; numbers upwards.

    Layers keep the order of their network.
    """
    models = dict.fromkeys([*paper.paper_table(4)["model"], *paper.paper_table(2)["model"]])
    orders = {"dataset": _DATASETS, "model": models, "model_a": models, "kernel": _KERNELS, "invariance": _INVARIANCES}
    ordered = rows
    for key in reversed([key for key in keys if key in rows and not key.startswith("layer")]):
        place = {value: i for i, value in enumerate(orders.get(key, ()))}
        ordered = ordered.sort_values(key, key=partial(_rank, place=place), kind="stable")
    return ordered.reset_index(drop=True)


def _rank(column: pd.Series, place: Mapping[Any, int]) -> pd.Series:
    """What a column is sorted by: numbers as they are, names by their places, others after them by name."""
    if column.dtype.kind in "iuf":
        return column
    return column.map(lambda value: (place.get(value, len(place)), str(value)))


def command_of(run: Run) -> str:
    """The command line that made a run, to be pasted into a shell."""
    command = run.facts.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    return " ".join([*words[:1], *(shlex.quote(word) for word in words[1:])])
