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
from semrsm_cli.rsm import Centering, Gram, Invariance, Kernel, Pooled, Representations, gram, kernel
from semrsm_cli.rsm.medians import sigma_of_parts
from semrsm_cli.store import digest

__all__ = ["Embedded", "Ranking", "rank", "shortens"]

_PAIRS_IN_MEMORY = 2**26  # of an RSM that is held as a whole: 1 GiB with its bounds
_PAIRS_AT_ONCE = 2**24  # of one that is not
_MIN_ROWS = 128  # of pooled vectors: a matrix product of a few is slow


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
    possible = _possible(config, embedded)
    listed = _shortlist(images, embedded, config) if Invariance.permutation in possible else None
    for moved in rearrangements(possible, config.locality):
        pairs = listed if moved.invariance is Invariance.permutation else None
        g = _inner_products(moved, embedded, config, folder, pairs)
        for name, (nearest, values) in _rank_rows(g, images, config).items():
            yield Ranking(name, moved, nearest, values, _score(images, nearest))


def _possible(config: RetrieveConfig, embedded: Embedded) -> Sequence[Invariance]:
    """The invariances that were asked for; of several, those are left out that positions do not allow."""
    reasons: dict[Invariance, str] = {}
    if embedded.compared.grid is None:
        reasons[Invariance.translation] = "its positions lie on no map of a CNN"
    sizes = embedded.queries.shape[1], embedded.database.shape[1]
    if sizes[0] != sizes[1]:
        reason = f"queries have {sizes[0]} positions and database images {sizes[1]}"
        reasons |= dict.fromkeys((Invariance.none, Invariance.translation, Invariance.maxsim), reason)
    possible = [invariance for invariance in config.invariances if invariance not in reasons]
    if not possible:
        return config.invariances
    for invariance in config.invariances:
        if invariance in reasons:
            log(f"{config.model.label}: {invariance} is left out, since {reasons[invariance]}")
    return possible


def _inner_products(
    moved: Rearrangement,
    embedded: Embedded,
    config: RetrieveConfig,
    folder: RunFolder,
    pairs: np.ndarray | None,
) -> Gram:
    """Inner products of queries and database, of all pairs or of those in lists [q, k]; on disk where they are many."""
    compared, n_pairs = embedded.compared, embedded.queries.shape[0] * embedded.database.shape[0]
    in_memory = pairs is not None or n_pairs <= _PAIRS_IN_MEMORY
    if compared.y is None and (pairs is not None or not in_memory):
        # of images with themselves the store has one half, under the key of these
        compared = replace(compared, y=compared.x, key=digest([compared.key, "both halves"]))
    return gram_in_store(
        compared,
        moved.invariance,
        config.matching,
        config.runtime,
        folder,
        locality=moved.locality,
        pairs=pairs,
        in_memory=in_memory,
    )


def _rank_rows(g: Gram, images: RetrievalSet, config: RetrieveConfig) -> dict[Kernel, tuple[np.ndarray, np.ndarray]]:
    """The k neighbours of every query and their similarities [q, k] for each kernel; some rows at a time."""
    blocks = _row_blocks(g, config.sigma_tile)
    sigma = config.sigma
    if Kernel.rbf in config.kernels and sigma is None and config.sigma_tile is None and len(blocks) > 1:
        sigma = sigma_of_parts(lambda: (_in_memory(g, rows) for rows in blocks))
    ranked: dict[Kernel, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in config.kernels}
    for rows in blocks:
        block = _in_memory(g, rows)
        for name in config.kernels:
            similarity = kernel(block, name, sigma=sigma, sigma_tile=config.sigma_tile)
            if block.columns is None:
                nearest = _neighbours_of(similarity, images, config.n_neighbours, rows)
                ranked[name].append((nearest, neighbour_scores(similarity, nearest)))
            else:
                ranked[name].append(_rank_lists(similarity, block.columns, config.n_neighbours))
    return {
        name: (np.concatenate([a for a, _ in of]), np.concatenate([b for _, b in of])) for name, of in ranked.items()
    }


def _rank_lists(similarity: np.ndarray, columns: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest images of each list [q, n], which holds none of the query's own video, and their similarities."""
    places = neighbours(similarity, k=k)
    nearest = np.where(places < 0, -1, np.take_along_axis(columns, places, axis=1))
    return nearest, np.where(nearest < 0, np.nan, np.take_along_axis(similarity, places, axis=1))


def _row_blocks(g: Gram, sigma_tile: int | None) -> list[slice]:
    """Rows that are ranked at once: all that are in memory, else as many as fit, in whole tiles of sigma."""
    n, m = g.inner.shape
    step = max(1, n if isinstance(g.inner, np.ndarray) else _PAIRS_AT_ONCE // m)
    step += -step % (sigma_tile or 1)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _in_memory(g: Gram, rows: slice) -> Gram:
    """Some rows, without their bounds."""
    if isinstance(g.inner, np.ndarray):
        return g
    inner = np.asarray(g.inner[rows], np.float64)
    return Gram(inner, inner, g.sq_x[rows], g.sq_y, False)


def _neighbours_of(similarity: np.ndarray, images: RetrievalSet, k: int, rows: slice) -> np.ndarray:
    """The k nearest images of some queries that are of another video than the query."""
    groups = {"query_groups": images.queries.videos[rows], "database_groups": images.database.videos}
    try:
        return neighbours(similarity, k=k, **groups)
    except ValueError as error:
        raise SemrsmError(f"{images.name}: {error}") from error


def shortens(shortlist: int | None, images: RetrievalSet) -> bool:
    """Whether a shortlist leaves out any image of the database."""
    return shortlist is not None and shortlist < len(images.database)


def _shortlist(images: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> np.ndarray | None:
    """For every query the database images [q, k] whose pooled vectors have the largest cosine with its own."""
    if config.shortlist is None:
        return None
    if not shortens(config.shortlist, images):
        log(f"shortlist={config.shortlist} leaves out none of {len(images.database)} images: all are matched")
        return None
    x, y = (Pooled(side)[0 : side.shape[0]] for side in (embedded.queries, embedded.database))
    step = max(_MIN_ROWS, _PAIRS_AT_ONCE // len(y))
    listed = []
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        try:
            g = gram(x[rows], y, invariance=Invariance.none, threads=config.runtime.threads)
        except ValueError as error:
            raise SemrsmError(f"{images.name}: {error}") from error
        listed.append(_neighbours_of(kernel(g, Kernel.cosine), images, config.shortlist, rows))
    return np.concatenate(listed)


def _score(images: RetrievalSet, nearest: np.ndarray) -> np.ndarray | None:
    """The score of each neighbour [q, k] as an answer to its query; None where nothing is known of the images."""
    queries, database = images.queries.counts, images.database.counts
    if images.metric is None or queries is None or database is None:
        return None
    measure = count_f1 if images.metric is Metric.count_f1 else presence_iou
    scores = [measure(queries[[i]], database[of_query])[0] for i, of_query in enumerate(nearest)]
    return np.where(nearest < 0, np.nan, scores)
