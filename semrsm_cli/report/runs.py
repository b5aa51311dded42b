"""The tables of many runs, joined: a sweep writes one folder for each of its jobs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.progress import log

__all__ = ["TABLES", "Run", "find_runs", "join_runs", "read_table"]

TABLES = {
    "retrieval": ("model", "dataset", "n_database", "metric", "kernel", "invariance"),
    "correlation": ("model", "dataset", "n_samples", "kernel", "invariance"),
    "matching": ("method", "batch", "positions"),
    "separation": ("model", "dataset", "layer", "kernel", "invariance"),
    "cka": ("model_a", "layer_a", "model_b", "layer_b", "kernel", "invariance_a", "invariance_b", "estimator"),
}
"""The result of each task, and the columns that tell one of its rows from another."""


@dataclass(frozen=True)
class Run:
    """The folder of one run, the names of the result tables in it, and the run's seed."""

    path: Path
    tables: tuple[str, ...]
    seed: int = 0

    def table(self, name: str) -> pd.DataFrame:
        """Table `name` with the run's folder and seed before its own columns.

        Raises:
            SemrsmError: The file is no table of that kind.
        """
        frame = read_table(self.path / "tables" / f"{name}.csv", TABLES[name])
        frame.insert(0, "run", self.path.as_posix())
        frame.insert(1, "seed", self.seed)
        return frame

    def written_at(self) -> float:
        """When its newest result was written."""
        return max((self.path / "tables" / f"{name}.csv").stat().st_mtime for name in self.tables)


def find_runs(places: Sequence[Path]) -> list[Run]:
    """All finished runs in the folders `places` and below, the newest last; says which others it leaves out, and why.

    Raises:
        SemrsmError: A place is no folder, or there is no result of a finished run in any.
    """
    for place in places:
        if not place.is_dir():
            raise SemrsmError(f"there is no folder {place}; set runs= to a folder that runs were written to")
    folders = {path.parent.parent for place in places for name in TABLES for path in place.rglob(f"tables/{name}.csv")}
    if not folders:
        raise SemrsmError(
            f"no run in {', '.join(map(str, places))} left a table: none of {', '.join(TABLES)}.csv in a folder named "
            "tables; run `semrsm retrieve` or another task first, or set runs= to where it wrote"
        )
    runs, left_out = [], []
    for folder in sorted(folders):
        try:
            runs.append(_open_run(folder))
        except ValueError as error:
            left_out.append(f"{folder} is left out: {error}")
    if not runs:
        others = f" ({len(left_out) - 1} more like it)" if len(left_out) > 1 else ""
        raise SemrsmError(f"no run in {', '.join(map(str, places))} ended: {left_out[0]}{others}; run its task again")
    for line in left_out:
        log(line)
    return sorted(runs, key=lambda run: (run.written_at(), run.path))


def _open_run(folder: Path) -> Run:
    """The finished run in a folder with results.

    Raises:
        ValueError: It did not end, or its run.json is none.
    """
    try:
        facts: Any = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError("it has no run.json, so its run did not end") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"its run.json cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(facts, dict) or "command" not in facts:
        raise ValueError("its run.json names no command, so no run wrote it")
    seed = facts.get("seed", 0)
    if not isinstance(seed, int):
        raise ValueError(f"its run.json has the seed {seed!r}, which is no integer")
    return Run(folder, tuple(name for name in TABLES if (folder / "tables" / f"{name}.csv").is_file()), seed)


def join_runs(runs: Iterable[Run], name: str) -> tuple[pd.DataFrame, int]:
    """Join one table of all runs; of rows with the same seed and key columns (`TABLES`) the newest counts.

    Args:
        runs: The runs, the newest last.
        name: Name of the table.

    Returns:
        The rows, and how many were left out since a newer run has the same.
    """
    frames = [run.table(name) for run in runs if name in run.tables]
    if not frames:
        return pd.DataFrame(), 0
    everything = pd.concat(frames, ignore_index=True)
    newest = everything.drop_duplicates(["seed", *TABLES[name]], keep="last")
    return newest.reset_index(drop=True), len(everything) - len(newest)


def read_table(path: Path, required: Sequence[str], *, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that a run wrote.

    Args:
        path: The file.
        required: Columns that it must have.
        text: Columns that stay text, though they may look like numbers.

    Raises:
        SemrsmError: It cannot be read, or lacks a column.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(text, str))
    except (OSError, ValueError) as error:  # what pandas raises on broken files are ValueErrors
        reason = str(error).strip().splitlines()[0]
        raise SemrsmError(f"{path} cannot be read as a table: {reason}; remove it or run its task again") from error
    lacking = [column for column in required if column not in frame]
    if lacking:
        raise SemrsmError(f"{path} lacks the column {lacking[0]!r}; remove it or run its task again")
    return frame
