"""The neighbours that `semrsm retrieve` finds under each invariance and kernel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from semrsm_cli.config import RetrieveConfig
from semrsm_cli.data import Metric, RetrievalSet
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.retrieval import count_f1, neighbour_scores, neighbours, presence_iou
from semrsm_cli.models import Network
from semrsm_cli.pipeline.grams import Comparison, gram_in_store
from semrsm_cli.pipeline.rearrangements import Rearrangement, rearrangements
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log
from semrsm_cli.rsm import Centering, Gram, Invariance, Kernel, Representations, kernel

__all__ = ["Embedded", "Ranking", "rank", "shortens"]


@dataclass(frozen=True)
class Embedded:
    """Both sides of a retrieval set as concept vectors, less the database's mean (Appendix D.1).

    `compared` is one side with the other; of itself with itself where every image is looked for among all.
    """

    network: Network
    compared: Comparison

    @classmethod
    def of(cls, network: Network, queries: Layer, database: Layer, centering: Centering) -> Self:
        """Centre what a network makes of both sides."""
        if queries.key == database.key:
            return cls(network, Comparison.within(database, centering, name="retrieval"))
        return cls(network, Comparison.between(queries, database, centering, center_of=database, name="retrieval"))

    @property
    def queries(self) -> Representations:
        """The queries [q, s, c]."""
        return self.compared.x

    @property
    def database(self) -> Representations:
        """The database images [d, s, c]."""
        return self.compared.x if self.compared.y is None else self.compared.y


@dataclass(frozen=True)
class Ranking:
    """The k neighbours [q, k] of every query under one kernel and invariance, their similarities and scores."""

    kernel: Kernel
    moved: Rearrangement
    neighbours: np.ndarray
    similarities: np.ndarray
    scores: np.ndarray | None

    @property
    def invariance(self) -> Invariance:
        """The invariance; `permutation` also where positions pay for their displacement."""
        return self.moved.invariance


def rank(images: RetrievalSet, embedded: Embedded, config: RetrieveConfig, folder: RunFolder) -> Iterator[Ranking]:
    """The neighbours under every invariance and kernel; all kernels come from one matching."""
    scores = _score_all(images)
    for moved in rearrangements(_possible(config, embedded), config.locality):
        pairs = _shortlist(images, embedded, config, folder) if moved.invariance is Invariance.permutation else None
        g = _inner_products(moved, embedded, config, folder, pairs)
        for name in config.kernels:
            similarity = kernel(g, name, sigma=config.sigma, sigma_tile=config.sigma_tile)
            if pairs is not None:
                similarity = np.where(pairs, similarity, -np.inf)
            nearest = _neighbours_of(similarity, images, config.n_neighbours)
            values = neighbour_scores(similarity, nearest)
            yield Ranking(name, moved, nearest, values, None if scores is None else neighbour_scores(scores, nearest))


def _possible(config: RetrieveConfig, embedded: Embedded) -> Sequence[Invariance]:
    """The invariances that were asked for; of several, translation is left out where positions lie on no map."""
    others = [invariance for invariance in config.invariances if invariance is not Invariance.translation]
    if embedded.compared.grid is not None or not others or others == config.invariances:
        return config.invariances
    log(f"{config.model.label}: translation is left out, since its positions lie on no map of a CNN")
    return others


def _neighbours_of(similarity: np.ndarray, images: RetrievalSet, k: int) -> np.ndarray:
    """The k nearest images that are of another video than the query."""
    try:
        return neighbours(similarity, k=k, query_groups=images.queries.videos, database_groups=images.database.videos)
    except ValueError as error:
        raise SemrsmError(f"{images.name}: {error}") from error


def _inner_products(
    moved: Rearrangement,
    embedded: Embedded,
    config: RetrieveConfig,
    folder: RunFolder,
    pairs: np.ndarray | None = None,
) -> Gram:
    """Inner products of queries and database, of all `pairs` or of some [q, d]."""
    compared = embedded.compared
    if pairs is not None and compared.y is None:
        compared = replace(compared, y=compared.x)
    g = gram_in_store(
        compared, moved.invariance, config.matching, config.runtime, folder, locality=moved.locality, pairs=pairs
    )
    return g if pairs is None else _at_no_distance(g, pairs)


def _at_no_distance(inner: Gram, pairs: np.ndarray) -> Gram:
    """The products of `pairs`, and for all others those of images that are the same: no median counts these."""
    return replace(inner, inner=np.where(pairs, inner.inner, (inner.sq_x[:, None] + inner.sq_y) / 2))


def shortens(shortlist: int | None, images: RetrievalSet) -> bool:
    """Whether a shortlist leaves out any image of the database."""
    return shortlist is not None and shortlist < len(images.database)


def _shortlist(
    images: RetrievalSet, embedded: Embedded, config: RetrieveConfig, folder: RunFolder
) -> np.ndarray | None:
    """For every query the database images [q, d] whose pooled vectors have the largest cosine with its own."""
    if config.shortlist is None:
        return None
    if not shortens(config.shortlist, images):
        log(f"shortlist={config.shortlist} leaves out none of {len(images.database)} images: all are matched")
        return None
    similarity = kernel(_inner_products(Rearrangement(Invariance.pooled), embedded, config, folder), Kernel.cosine)
    chosen = _neighbours_of(similarity, images, config.shortlist)
    allowed = np.zeros((len(chosen), len(images.database) + 1), bool)
    np.put_along_axis(allowed, chosen, True, axis=1)  # the last column takes the -1 of queries with fewer neighbours
    return allowed[:, :-1]


def _score_all(images: RetrievalSet) -> np.ndarray | None:
    """The score of every database image as an answer to every query [q, d]; None where nothing is known of them."""
    if images.metric is None or images.queries.counts is None or images.database.counts is None:
        return None
    measure = count_f1 if images.metric is Metric.count_f1 else presence_iou
    return measure(images.queries.counts, images.database.counts)
