"""The neighbours that `semrsm retrieve` finds under each invariance and kernel."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from semrsm_cli.config import POOLED, RetrieveConfig
from semrsm_cli.data import Metric, RetrievalSet
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.measures.retrieval import count_f1, neighbour_scores, neighbours, presence_iou
from semrsm_cli.models import Network
from semrsm_cli.rsm import Centered, Gram, Invariance, Kernel, gram, kernel
from semrsm_cli.tasks.rsm import gram_in_store

__all__ = ["Embedded", "Ranking", "rank"]


@dataclass(frozen=True)
class Embedded:
    """Both sides of a retrieval set as centred concept vectors, and what their content is called in the store.

    `database` is `queries` itself where every image is looked for among all.
    """

    network: Network
    queries: Centered
    database: Centered
    key: str
    grid: tuple[int, int] | None


@dataclass(frozen=True)
class Ranking:
    """The k neighbours [q, k] of every query under one kernel and invariance, their similarities and scores."""

    kernel: Kernel
    invariance: str
    neighbours: np.ndarray
    similarities: np.ndarray
    scores: np.ndarray | None


def rank(found: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> Iterator[Ranking]:
    """The neighbours under every invariance and kernel; all kernels come from one matching."""
    scores = score_all(found)
    for invariance in config.invariances:
        matched = shortlisted(found, embedded, config) if invariance == Invariance.permutation else None
        inner = inner_products(invariance, embedded, config, matched)
        for name in config.kernels:
            similarity = kernel(inner, name, sigma=config.sigma, sigma_tile=config.sigma_tile)
            if matched is not None:
                similarity = np.where(matched, similarity, -np.inf)
            nearest = neighbours_of(similarity, found, config.k)
            values = neighbour_scores(similarity, nearest)
            yield Ranking(
                name, invariance, nearest, values, None if scores is None else neighbour_scores(scores, nearest)
            )


def neighbours_of(similarity: np.ndarray, found: RetrievalSet, k: int) -> np.ndarray:
    """The k nearest images that are of another video than the query."""
    try:
        return neighbours(similarity, k=k, query_groups=found.queries.videos, database_groups=found.database.videos)
    except ValueError as error:
        raise SemrsmError(f"{found.name}: {error}") from error


def inner_products(invariance: str, embedded: Embedded, config: RetrieveConfig, pairs: np.ndarray | None) -> Gram:
    """Inner products of queries and database, of all `pairs` or of some [q, d]."""
    if invariance == POOLED:
        return gram(pooled(embedded.queries), pooled(embedded.database), invariance=Invariance.none)
    if Invariance(invariance) is Invariance.translation and embedded.grid is None:
        raise ConfigError("invariances holds translation, which needs a CNN's map; leave it out for this layer")
    all_to_all = embedded.queries is embedded.database and pairs is None
    inner = gram_in_store(
        embedded.queries,
        None if all_to_all else embedded.database,
        {"retrieval": embedded.key},
        Invariance(invariance),
        config.matching,
        config.runtime,
        grid=embedded.grid,
        pairs=pairs,
        name="retrieval",
    )
    return inner if pairs is None else at_no_distance(inner, pairs)


def at_no_distance(inner: Gram, pairs: np.ndarray) -> Gram:
    """The products of `pairs`, and for all others those of images that are the same: no median counts these."""
    return replace(inner, inner=np.where(pairs, inner.inner, (inner.sq_x[:, None] + inner.sq_y) / 2))


def pooled(side: Centered, step: int = 256) -> np.ndarray:
    """The mean vector of every image as a representation of one position [n, 1, c]."""
    parts = [side[start : start + step].mean(axis=1, keepdims=True) for start in range(0, len(side), step)]
    return np.concatenate(parts)


def shortlisted(found: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> np.ndarray | None:
    """For every query the database images [q, d] whose pooled vectors have the largest cosine with its own."""
    if config.shortlist is None:
        return None
    similarity = kernel(inner_products(POOLED, embedded, config, None), Kernel.cosine)
    chosen = neighbours_of(similarity, found, min(config.shortlist, len(found.database)))
    allowed = np.zeros((len(chosen), len(found.database) + 1), bool)
    np.put_along_axis(allowed, chosen, True, axis=1)  # the last column takes the -1 of queries with fewer neighbours
    return allowed[:, :-1]


def score_all(found: RetrievalSet) -> np.ndarray | None:
    """The score of every database image as an answer to every query [q, d]; None where nothing is known of them."""
    if found.metric is None or found.queries.counts is None or found.database.counts is None:
        return None
    measure = count_f1 if found.metric is Metric.count_f1 else presence_iou
    return measure(found.queries.counts, found.database.counts)
