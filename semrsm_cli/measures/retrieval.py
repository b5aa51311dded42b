"""Retrieval by similarity: nearest neighbours, and how much of the query they show (Section 4.2, Appendix D.1)."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["best_of", "count_f1", "neighbour_scores", "neighbours", "overlap", "presence_iou"]

_FloatArray = NDArray[np.float64]


def count_f1(query_counts: ArrayLike, database_counts: ArrayLike) -> _FloatArray:
    """F1 of the instance counts of every query and database image (Eq. 9-12).

    F1 = 2 TP / (2 TP + FP + FN), where TP = sum_c min(Q_c, D_c), FN and FP are what remains of Q and D; so the
    denominator is the number of instances in both. Equal counts score 1, also those of two images without any object,
    where Eq. 12 is 0 / 0.

    Args:
        query_counts: Instances of each class in the queries, integers [q, classes].
        database_counts: The same for the database, [d, classes].

    Returns:
        F1 within [0, 1], [q, d].

    Raises:
        ValueError: If counts are negative or no integers, or the numbers of classes differ.

    Example:
        Classes are cup, fork and book; the second image of the database lacks a cup and the fork, and adds two books.

        >>> count_f1([[2, 1, 0]], [[2, 1, 0], [1, 0, 2], [0, 0, 3]]).round(3)
        array([[1.   , 0.333, 0.   ]])
    """
    queries, database = _counts(query_counts, database_counts)
    by_class = np.ascontiguousarray(database.T)
    shared = np.empty((len(queries), len(database)))
    for row, counts in zip(shared, queries, strict=True):
        present = counts > 0  # few of the classes, mostly
        np.minimum(counts[present, None], by_class[present]).sum(axis=0, out=row)
    return _ratio(2 * shared, queries.sum(axis=1)[:, None] + database.sum(axis=1))


def presence_iou(query_classes: ArrayLike, database_classes: ArrayLike) -> _FloatArray:
    """Intersection over union of the classes present in every query and database image (Appendix D.4, no number).

    IoU = |Q and D| / |Q or D|, where Q and D are the sets of classes. Equal sets score 1, also two empty ones.

    Args:
        query_classes: Presence (or counts) of each class in the queries, bool or integers [q, classes].
        database_classes: The same for the database, [d, classes].

    Returns:
        IoU within [0, 1], [q, d].

    Raises:
        ValueError: If counts are negative or no integers, or the numbers of classes differ.

    Example:
        >>> presence_iou([[2, 1, 0]], [[1, 4, 0], [1, 0, 2], [0, 0, 3]]).round(3)
        array([[1.   , 0.333, 0.   ]])
    """
    queries, database = ((counts > 0).astype(np.float64) for counts in _counts(query_classes, database_classes))
    shared = queries @ database.T
    return _ratio(shared, queries.sum(axis=1)[:, None] + database.sum(axis=1) - shared)


def neighbours(
    similarity: ArrayLike,
    *,
    k: int = 5,
    query_groups: Iterable[Hashable] | None = None,
    database_groups: Iterable[Hashable] | None = None,
) -> NDArray[np.intp]:
    """The k most similar database images of each query, the most similar first; the lower index wins a tie.

    Args:
        similarity: RSM of queries and database, [q, d].
        k: How many neighbours to return.
        query_groups: What each query belongs to, its video for example; no image of the same group is returned.
        database_groups: The same for the database.

    Returns:
        Indices into the database [q, k]; -1 where fewer than k images of other groups exist.

    Raises:
        ValueError: If a query has no image of another group, the similarity holds NaN, or lengths don't fit.
    """
    similarity = np.asarray(similarity)
    if similarity.ndim != 2 or similarity.dtype.kind != "f" or k < 1:
        raise ValueError(
            f"neighbours need a real RSM [q, d] and k >= 1, got {similarity.dtype} {similarity.shape} and k = {k}"
        )
    query_codes, database_codes = _group_codes(similarity.shape, query_groups, database_groups)
    nearest_images = np.full((len(similarity), k), -1)
    for query, row in enumerate(similarity):
        allowed = np.flatnonzero(database_codes != query_codes[query])
        if allowed.size == 0:
            raise ValueError(f"query {query} has no neighbour: all {row.size} database images are of its own group")
        values = row[allowed]
        if n_nan := np.count_nonzero(np.isnan(values)):
            raise ValueError(f"{n_nan} of the {values.size} similarities of query {query} are NaN")
        nearest = allowed[_largest(values, k)]
        nearest_images[query, : nearest.size] = nearest
    return nearest_images


def neighbour_scores(scores: ArrayLike, neighbours: NDArray[np.intp]) -> _FloatArray:
    """Look up the scores of the neighbours that `neighbours` returned.

    Args:
        scores: Scores of every query and database image, [q, d].
        neighbours: Indices into the database [q, k], -1 where there is none.

    Returns:
        Scores [q, k], NaN where a query has fewer than k neighbours.
    """
    of_neighbours = np.take_along_axis(np.asarray(scores, dtype=np.float64), neighbours, axis=1)
    return np.where(neighbours < 0, np.nan, of_neighbours)


def best_of(neighbour_scores: _FloatArray, k: int) -> _FloatArray:
    """The best score among the first k neighbours of each query.

    Args:
        neighbour_scores: Scores of the neighbours, the nearest first, [q, at least k]; NaN where there is none.
        k: How many neighbours count; 1 gives the score at the first.

    Returns:
        Best scores [q].
    """
    return np.asarray(np.fmax.reduce(neighbour_scores[:, :k], axis=1))


def _counts(query_counts: ArrayLike, database_counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    queries, database = np.asarray(query_counts), np.asarray(database_counts)
    if queries.ndim != 2 or database.ndim != 2 or queries.shape[1] != database.shape[1]:
        raise ValueError(
            f"counts must be [images, classes] with the same classes, got {queries.shape} and {database.shape}"
        )
    for counts in (queries, database):
        if counts.dtype.kind not in "biu":
            raise ValueError(f"counts must be integers, got {counts.dtype}")
        if (counts < 0).any():
            raise ValueError(f"counts can't be negative, got {counts.min()}")
    return queries.astype(np.int64), database.astype(np.int64)


def _ratio(shared: _FloatArray, total: NDArray[np.float64 | np.int64]) -> _FloatArray:
    return np.divide(shared, total, out=np.ones_like(shared), where=total > 0)


def _group_codes(
    shape: tuple[int, ...], query_groups: Iterable[Hashable] | None, database_groups: Iterable[Hashable] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integers that are equal where groups are equal; without groups no query has the code of a database image."""
    if query_groups is None and database_groups is None:
        return np.zeros(shape[0], dtype=np.int64), np.ones(shape[1], dtype=np.int64)
    code: dict[Hashable, int] = {}
    queries, database = (
        np.array([code.setdefault(group, len(code)) for group in groups or ()], dtype=np.int64)
        for groups in (query_groups, database_groups)
    )
    if (queries.size, database.size) != shape:
        raise ValueError(f"an RSM {list(shape)} needs as many groups, got {queries.size} and {database.size}")
    return queries, database


def _largest(values: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Indices of the k largest values, the largest first; among equals the lower index."""
    candidates = np.arange(values.size)
    if values.size > k:
        candidates = np.flatnonzero(values >= np.partition(values, -k)[-k])
    return candidates[np.argsort(-values[candidates], kind="stable")[:k]]


def overlap(a: ArrayLike, b: ArrayLike) -> _FloatArray:
    """The share of neighbours that two rankings have in common, whatever their order: |A and B| / max(|A|, |B|).

    Args:
        a: Indices of each query's neighbours [q, k], each once; -1 for none.
        b: The same by the other ranking.

    Returns:
        Within [0, 1], [q]; 1 where neither has any.

    Raises:
        ValueError: If they are not of the same queries.

    Example:
        >>> overlap([[3, 1], [0, -1]], [[1, 2], [0, -1]])
        array([0.5, 1. ])
    """
    left, right = np.asarray(a), np.asarray(b)
    if left.ndim != 2 or right.ndim != 2 or len(left) != len(right):
        raise ValueError(f"a and b must be neighbours [q, k] of the same queries, got {left.shape} and {right.shape}")
    shared = ((left[:, :, None] == right[:, None, :]) & (left[:, :, None] >= 0)).sum(axis=(1, 2))
    most = np.maximum((left >= 0).sum(axis=1), (right >= 0).sum(axis=1))
    return np.where(most > 0, shared / np.maximum(most, 1), 1.0)
