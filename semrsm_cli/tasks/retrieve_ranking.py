"""The neighbours that `semrsm retrieve` finds under each invariance and kernel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semrsm_cli.config import POOLED, RetrieveConfig
from semrsm_cli.data import Metric, RetrievalSet
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.measures.retrieval import count_f1, neighbour_scores, neighbours, presence_iou
from semrsm_cli.models import Network
from semrsm_cli.report.progress import tracked
from semrsm_cli.rsm import Centered, Gram, Invariance, Kernel, gram, kernel
from semrsm_cli.tasks.rsm import gram_in_store, matching_options

__all__ = ["Embedded", "Ranking", "rank"]


@dataclass(frozen=True)
class Embedded:
    """Both sides of a retrieval set as centred concept vectors, and what their content is called in the store."""

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
    allowed = shortlisted(found, embedded, config) if config.shortlist else None
    for invariance in config.invariances:
        inner = inner_products(invariance, embedded, config, allowed)
        for name in config.kernels:
            similarity = kernel(inner, name, sigma=config.sigma, sigma_tile=config.sigma_tile)
            if allowed is not None and invariance != POOLED:
                similarity = np.where(allowed, similarity, -np.inf)
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


def inner_products(invariance: str, embedded: Embedded, config: RetrieveConfig, allowed: np.ndarray | None) -> Gram:
    """Matched inner products of queries and database."""
    if invariance == POOLED:
        return gram(pooled(embedded.queries), pooled(embedded.database), invariance=Invariance.none)
    if Invariance(invariance) is Invariance.translation and embedded.grid is None:
        raise ConfigError("invariances holds translation, which needs a CNN's map; leave it out for this layer")
    if allowed is not None and Invariance(invariance) is Invariance.permutation:
        return rerank(embedded, allowed, config)
    return gram_in_store(
        embedded.queries,
        embedded.database,
        {"retrieval": embedded.key},
        Invariance(invariance),
        config.matching,
        config.runtime,
        grid=embedded.grid,
        name="retrieval",
    )


def pooled(side: Centered, step: int = 256) -> np.ndarray:
    """The mean vector of every image as a representation of one position [n, 1, c]."""
    parts = [side[start : start + step].mean(axis=1, keepdims=True) for start in range(0, len(side), step)]
    return np.concatenate(parts)


def shortlisted(found: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> np.ndarray:
    """For every query the database images [q, d] whose pooled vectors have the largest cosine with its own."""
    similarity = kernel(inner_products(POOLED, embedded, config, None), Kernel.cosine)
    chosen = neighbours_of(similarity, found, min(config.shortlist or 0, len(found.database)))
    allowed = np.zeros(similarity.shape, bool)
    for query, row in enumerate(chosen):
        allowed[query, row[row >= 0]] = True
    return allowed


def rerank(embedded: Embedded, allowed: np.ndarray, config: RetrieveConfig) -> Gram:
    """Matched inner products of every query with its shortlist alone; the rest stays 0 and is never returned."""
    q, d = allowed.shape
    inner, bound = np.zeros((q, d)), np.zeros((q, d))
    sq_x, sq_y = np.zeros(q), np.zeros(d)
    options = matching_options(config.matching)
    with tracked("match the shortlist", q) as advance:
        for query in range(q):
            columns = np.flatnonzero(allowed[query])
            candidates = np.concatenate([embedded.database[j : j + 1] for j in columns])
            part = gram(embedded.queries[query : query + 1], candidates, workers=config.runtime.workers, **options)
            inner[query, columns], bound[query, columns] = part.inner[0], part.bound[0]
            sq_x[query], sq_y[columns] = part.sq_x[0], part.sq_y
            advance(1)
    return Gram(inner, bound, sq_x, sq_y, False)


def score_all(found: RetrievalSet) -> np.ndarray | None:
    """The score of every database image as an answer to every query [q, d]; None where nothing is known of them."""
    if found.metric is None or found.queries.counts is None or found.database.counts is None:
        return None
    measure = count_f1 if found.metric is Metric.count_f1 else presence_iou
    return measure(found.queries.counts, found.database.counts)
