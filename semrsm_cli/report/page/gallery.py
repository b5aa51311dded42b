"""Numbers and pictures of a gallery: queries, their neighbours under each kernel and invariance, what was matched."""

from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.report.page.content import title_of
from semrsm_cli.report.page.pictures import Budget, thumbnail_source
from semrsm_cli.report.runs import Run

__all__ = ["gallery_of"]

_SIDE = 144  # pixels
_NEIGHBOURS = 5
_TEXT = ("query", "neighbour", "image", "file", "objects")


def gallery_of(run: Run, title: str, budget: Budget, n_queries: int) -> dict[str, Any]:
    """The gallery of a retrieval, of as many queries as the budget has room for; empty where the run kept none.

    Args:
        run: A run of `semrsm retrieve`.
        title: What its network is called.
        budget: Bytes that are left for pictures.
        n_queries: Of so many queries at most.
    """
    try:
        kept = _read(run, "gallery").set_index("image")
        neighbours = _read(run, "neighbours")
    except (OSError, ValueError, KeyError):
        return {}
    neighbours = neighbours[neighbours["rank"].astype(int) <= _NEIGHBOURS]
    known = neighbours["query"].isin(kept.index) & neighbours["neighbour"].isin(kept.index)
    of_query = neighbours.assign(known=known).groupby("query", sort=False)["known"].all()
    every = [str(query) for query in of_query.index[of_query]]
    matched = _matched(run)
    pictures: dict[str, int] = {}
    sources: list[dict[str, str]] = []
    queries = []
    for query in every[:n_queries]:
        rows = neighbours[neighbours["query"] == query]
        new = [name for name in dict.fromkeys([query, *rows["neighbour"]]) if name not in pictures]
        encoded = [thumbnail_source(run.path / str(kept.loc[name, "file"]), _SIDE) for name in new]
        if None in encoded or not budget.take("".join(map(str, encoded))):
            break
        for name, source in zip(new, encoded, strict=True):
            pictures[name] = len(sources)
            sources.append({"name": name, "src": str(source), "shows": str(kept.loc[name, "objects"])})
        queries.append(_entry(query, rows, pictures, matched))
    if not queries:
        return {}
    left_out = len(of_query) - len(queries)
    return {
        "title": title,
        "pictures": sources,
        "queries": queries,
        "note": f"{len(queries)} of {neighbours['query'].nunique()} queries are shown." if left_out else "",
    }


def _read(run: Run, name: str) -> pd.DataFrame:
    path = run.path / "tables" / f"{name}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(_TEXT, str)).fillna(
        {"objects": ""} if name == "gallery" else {}
    )


def _entry(
    query: str,
    rows: pd.DataFrame,
    pictures: dict[str, int],
    matched: dict[tuple[str, str], tuple[list[int], list[int]]],
) -> dict[str, Any]:
    """A query's neighbours by kernel and invariance, each with its picture, similarity, score and matched patches."""
    lists = []
    for (kernel, invariance), group in rows.groupby(["kernel", "invariance"], sort=False):
        found = []
        for row in group.sort_values("rank", kind="stable").to_dict("records"):
            one: dict[str, Any] = {"picture": pictures[str(row["neighbour"])]}
            for name in ("similarity", "score"):
                if not pd.isna(row[name]):
                    one[name] = round(float(row[name]), 3)
            if invariance == "permutation" and (query, str(row["neighbour"])) in matched:
                one["grid"], one["patches"] = matched[query, str(row["neighbour"])]
            found.append(one)
        lists.append(
            {
                "kernel": title_of(str(kernel)),
                "invariance": title_of(str(invariance)),
                "neighbours": found,
            }
        )
    return {"picture": pictures[query], "lists": lists}


def _matched(run: Run) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
    """For pairs of images the grid [height, width] and the patch that each of the query's was matched to."""
    try:
        rows = _read(run, "matched")
        patches = np.load(run.path / "arrays" / "matched.npy", allow_pickle=False)
    except (OSError, ValueError):
        return {}
    if len(rows) != len(patches):
        return {}
    return {
        (str(row["query"]), str(row["neighbour"])): ([int(row["height"]), int(row["width"])], [int(i) for i in of_pair])
        for row, of_pair in zip(rows.to_dict("records"), patches, strict=True)
    }
