"""How far the invariances agree on neighbours: what permutations change where nothing is known of the images."""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from semrsm_cli.measures.retrieval import overlap
from semrsm_cli.tasks.retrieve.ranking import Ranking

__all__ = ["agreement_table"]


def agreement_table(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """For each kernel and two invariances how many of a query's neighbours they share, in the mean over queries."""
    rows = []
    for a, b in combinations(rankings, 2):
        if a.kernel is not b.kernel:
            continue
        rows.append(
            {
                "kernel": str(a.kernel),
                "invariance_a": str(a.invariance),
                "invariance_b": str(b.invariance),
                "n_neighbours": a.neighbours.shape[1],
                "same_first": overlap(a.neighbours[:, :1], b.neighbours[:, :1]).mean(),
                "overlap": overlap(a.neighbours, b.neighbours).mean(),
            }
        )
    columns = ["kernel", "invariance_a", "invariance_b", "n_neighbours", "same_first", "overlap"]
    return pd.DataFrame(rows, columns=columns)
