"""The tables of many runs, joined: a sweep writes one folder for each of its jobs.

A row counts as made anew only where every setting that can change it is the same, and so are network, images and the
versions of our stages; rows of unlike runs stand side by side.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.differences import label_runs

__all__ = ["TABLES", "Run", "find_runs", "join_runs", "read_table"]

TABLES = {
    "retrieval": ("model", "dataset", "n_database", "metric", "kernel", "invariance"),
    "correlation": ("model", "dataset", "n_samples", "kernel", "invariance"),
    "matching": ("model", "dataset", "method", "batch", "n_exact", "layer", "positions"),
    "separation": ("model", "dataset", "layer", "kernel", "invariance"),
    "cka": ("model_a", "layer_a", "model_b", "layer_b", "kernel", "invariance_a", "invariance_b", "estimator"),
    "rsm": ("array", "kernel", "invariance"),
    "training": ("architecture", "dataset", "epochs"),
}
"""The result of each task, and the columns that tell one of its rows from another."""
_NUMBERS = {
    "retrieval": (
        *("n_queries", "matching", "at_1", "ci_low", "ci_high", "paper"),
        *("difference_low", "difference_high"),
    ),
    "correlation": tuple(
        column.format(name) for name in ("pearson", "spearman") for column in ("{}", "{}_low", "{}_high", "paper_{}")
    ),
    "matching": (
        "n_pairs",
        "seconds_mean",
        "percent_of_optimal",
        "percent_low",
        "percent_high",
        "paper_percent",
        "paper_seconds",
    ),
    "separation": ("auc",),
    "cka": ("cka",),
    "rsm": ("n", "m", "positions", "channels"),
    "training": ("val_loss", "val_accuracy", "chance"),
}
"""The columns of numbers that a report reads."""
_TOLD = ("run", "seed", "settings", "images")  # columns that a run's rows bear before their own


@dataclass(frozen=True)
class Run:
    """The folder of one run.

    Attributes:
        path: The folder.
        tables: Names of the result tables in it.
        seed: The run's seed.
        settings: All that tells its numbers from another's, by whole names: settings that have an effect, versions of
            our stages (`stages.matching`), and hashes of the networks.
        images: Hash of the ids of its images, which may differ from seed to seed.
        facts: All that its run.json tells.
    """

    path: Path
    tables: tuple[str, ...]
    seed: int
    settings: Mapping[str, Any]
    images: str
    facts: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """Hash of the settings."""
        return _digest(self.settings)

    def table(self, name: str, *, over_locality: bool = False) -> pd.DataFrame:
        """Table `name` with the run's folder, seed, and hashes of settings and images before its own columns.

        Args:
            name: Its name.
            over_locality: Whether also the rows that lie between the paper's methods are wanted; none then of a run
                that has no such rows.

        Raises:
            SemrsmError: The file is no table of that kind.
        """
        frame = read_table(self.path / "tables" / f"{name}.csv", TABLES[name] + _NUMBERS[name])
        told: tuple[Any, ...] = (self.path.as_posix(), self.seed, self.identity, self.images)
        frame = frame.drop(columns=[column for column in _TOLD if column in frame])
        between = frame["locality"] > 0 if "locality" in frame else pd.Series(False, frame.index)
        wanted = pd.Series(between.any(), frame.index) if over_locality else ~between
        frame = frame[wanted].reset_index(drop=True)
        for place, (column, value) in enumerate(zip(_TOLD, told, strict=True)):
            frame.insert(place, column, value)
        return frame

    def written_at(self) -> float:
        """When its newest result was written."""
        return max((self.path / "tables" / f"{name}.csv").stat().st_mtime for name in self.tables)


def find_runs(places: Sequence[Path]) -> tuple[list[Run], dict[Path, str]]:
    """All finished runs in the folders `places` and below, the newest last, and of each other folder what is wrong.

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
    runs, left_out = [], {}
    for folder in sorted(folders):
        try:
            runs.append(_open_run(folder))
        except ValueError as error:
            left_out[folder] = str(error)
    if not runs:
        others = f" ({len(left_out) - 1} more like it)" if len(left_out) > 1 else ""
        folder, reason = next(iter(left_out.items()))
        raise SemrsmError(
            f"no run in {', '.join(map(str, places))} ended: {folder} is left out: {reason}{others}; run its task again"
        )
    return sorted(runs, key=lambda run: (run.written_at(), run.path)), left_out


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
    settings, stages = facts.get("settings"), facts.get("stages")
    if not isinstance(settings, dict) or not isinstance(stages, dict):
        raise ValueError("its run.json tells no settings, as earlier versions wrote it")
    networks = {name: _digest(fact) for name, fact in facts.items() if name.split(" ")[0] == "network"}
    settings = settings | {f"stages.{stage}": version for stage, version in stages.items()} | networks
    tables = tuple(name for name in TABLES if (folder / "tables" / f"{name}.csv").is_file())
    return Run(folder, tables, seed, settings, _digest(facts.get("image_ids_hash")), facts)


def _digest(facts: Any) -> str:
    """Eight hexadecimal digits that stand for facts as JSON has them."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=4).hexdigest()


def join_runs(runs: Sequence[Run], name: str, *, over_locality: bool = False) -> tuple[pd.DataFrame, int]:
    """Join one table of all runs; of rows with the same seed, settings, images and key columns the newest counts.

    Where one seed's images differ under the same settings, as when the files have changed, their hash is added to the
    settings': no mean is taken over them.

    Args:
        runs: The runs, the newest last.
        name: Name of the table, whose key columns stand in `TABLES`.
        over_locality: Whether the curves over locality are wanted, of the runs that have any, in place of what all runs
            have.

    Returns:
        The rows with the columns run, seed, settings, images and label before their own, and how many were left out
        since a newer run has the same.
    """
    frames = [run.table(name, over_locality=over_locality) for run in runs if name in run.tables]
    frames = [frame for frame in frames if len(frame) or not over_locality]
    if not frames:
        return pd.DataFrame(), 0
    everything = pd.concat(frames, ignore_index=True)
    of_a_draw = ["settings", "seed", *TABLES[name], *["locality"] * over_locality]
    newest = everything.drop_duplicates([*of_a_draw, "images"], keep="last").reset_index(drop=True)
    several = newest.groupby(of_a_draw, dropna=False)["images"].transform("nunique") > 1
    mixed = newest["settings"].isin(newest.loc[several, "settings"])
    newest["settings"] = newest["settings"].where(~mixed, newest["settings"] + "/" + newest["images"])
    settings = {run.identity: run.settings for run in runs}
    newest.insert(len(_TOLD), "label", label_runs(newest, name, settings))
    return newest, len(everything) - len(newest)


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
