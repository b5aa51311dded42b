"""Neighbours of one query in several runs, with the thumbnails in their folders (Figures 13 and 14)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.runs import read_table

__all__ = ["Neighbours", "common_queries", "rank_queries_by_gain", "read_neighbours"]

_COLUMNS = ("kernel", "invariance", "query", "rank", "neighbour", "score")
_THUMBNAIL_COLUMNS = ("image", "file", "objects")
_POOLED = "pooled"  # no RSM; runs keep no thumbnails of its neighbours


@dataclass(frozen=True)
class Neighbours:
    """Neighbours in one run, under its first kernel.

    Attributes:
        model: The network.
        kernel: The kernel.
        table: Columns invariance, query, rank, neighbour and score; only where a thumbnail of each image was kept.
        thumbnails: Files of the pictures, by image.
        objects: What the pictures show, in words.
    """

    model: str
    kernel: str
    table: pd.DataFrame
    thumbnails: dict[str, Path]
    objects: dict[str, str]

    def picture(self, image: str) -> Image.Image:
        """The thumbnail of an image.

        Raises:
            SemrsmError: It is gone, or no picture as runs write them.
        """
        try:
            with Image.open(self.thumbnails[image], formats=["JPEG"]) as file:
                return file.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise SemrsmError(f"{self.thumbnails[image]} cannot be read as JPEG; run its task again") from error

    def of(self, query: str, invariance: str) -> list[tuple[str, float]]:
        """The neighbours of a query in their order, with their scores."""
        rows = self.table[(self.table["query"] == query) & (self.table["invariance"] == invariance)].sort_values("rank")
        return list(zip(rows["neighbour"], rows["score"], strict=True))


def read_neighbours(run: Path, model: str) -> Neighbours | None:
    """Read the neighbours in a run's folder.

    Args:
        run: The folder.
        model: Name of its network.

    Returns:
        The neighbours whose thumbnails are there, or None where the run has no thumbnails.

    Raises:
        SemrsmError: A file cannot be read.
    """
    if not (run / "tables" / "thumbnails.csv").is_file():
        return None
    kept = read_table(run / "tables" / "thumbnails.csv", _THUMBNAIL_COLUMNS, text=_THUMBNAIL_COLUMNS)
    table = read_table(run / "tables" / "neighbours.csv", _COLUMNS, text=("query", "neighbour"))
    files = {image: run / str(file) for image, file in zip(kept["image"], kept["file"], strict=True)}
    thumbnails = {image: file for image, file in files.items() if file.resolve().is_relative_to(run.resolve())}
    kernel = str(table["kernel"].iloc[0])
    shown = (table["kernel"] == kernel) & (table["invariance"] != _POOLED) & table["query"].isin(thumbnails)
    table = table[shown]
    lacking = ~table["neighbour"].isin(thumbnails)
    incomplete = set(zip(table.loc[lacking, "query"], table.loc[lacking, "invariance"], strict=True))
    complete = [pair not in incomplete for pair in zip(table["query"], table["invariance"], strict=True)]
    return Neighbours(
        model, kernel, table[complete], thumbnails, dict(zip(kept["image"], kept["objects"].fillna(""), strict=True))
    )


def common_queries(runs: Sequence[Neighbours]) -> list[str]:
    """The queries that all runs have thumbnails of, in their order; none without runs."""
    if not runs:
        return []
    shared = set.intersection(*(set(one.table["query"]) for one in runs))
    return [str(query) for query in runs[0].table["query"].drop_duplicates() if query in shared]


def rank_queries_by_gain(queries: Sequence[str], runs: Sequence[Neighbours]) -> list[str]:
    """Queries by how much permutation invariance improves the score of their first neighbour, the most first.

    Gains are summed over all runs. Where nothing is scored, a first neighbour that changes counts as a gain of 1.

    Args:
        queries: Queries to sort; ties keep their order.
        runs: Neighbours in each run.
    """
    gains = dict.fromkeys(queries, 0.0)
    for one in runs:
        first = one.table[one.table["rank"] == 1].pivot(index="query", columns="invariance")
        if not {"none", "permutation"} <= set(first["neighbour"].columns):
            continue
        gain = first["score"]["permutation"] - first["score"]["none"]
        changed = first["neighbour"]["permutation"] != first["neighbour"]["none"]
        for query in queries:
            gains[query] += float(gain[query] if pd.notna(gain[query]) else changed[query])
    return sorted(queries, key=lambda query: -gains[query])
