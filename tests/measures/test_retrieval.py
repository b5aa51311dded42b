"""Scores of retrieved images, and the retrieval itself."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semrsm_cli.measures.retrieval import (
    best_of,
    count_f1,
    neighbour_scores,
    neighbours,
    presence_iou,
)
from tests import naive

N_CLASSES = 6
images = st.lists(st.lists(st.integers(0, N_CLASSES - 1), max_size=8), min_size=1, max_size=5)
few_values = st.integers(-2, 2).map(float)  # so that ties are common


def counts(objects: list[list[int]]) -> np.ndarray:
    return np.array([[image.count(c) for c in range(N_CLASSES)] for image in objects])


def test_count_f1_by_hand() -> None:
    # classes: cup, fork, book
    queries = [[2, 1, 0], [0, 0, 0], [0, 0, 3]]
    database = [
        [2, 1, 0],  # the same as the first query
        [1, 0, 2],  # TP 1, FN 1 + 1, FP 2 for the first; TP 2, FN 1, FP 1 for the third
        [0, 0, 0],
    ]
    expected = [
        [1.0, 2 * 1 / (2 * 1 + 2 + 2), 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 2 * 2 / (2 * 2 + 1 + 1), 0.0],
    ]
    np.testing.assert_allclose(count_f1(queries, database), expected)


def test_presence_iou_by_hand() -> None:
    queries = [[2, 1, 0], [0, 0, 0], [0, 0, 3]]
    database = [[2, 1, 0], [1, 0, 2], [0, 0, 0]]
    expected = [[1.0, 1 / 3, 0.0], [0.0, 0.0, 1.0], [0.0, 1 / 2, 0.0]]
    np.testing.assert_allclose(presence_iou(queries, database), expected)


@given(images, images)
def test_count_f1_crosses_out_instances(queries: list[list[int]], database: list[list[int]]) -> None:
    expected = [[naive.count_f1(q, d) for d in database] for q in queries]
    np.testing.assert_allclose(count_f1(counts(queries), counts(database)), expected)


@given(images, images)
def test_presence_iou_compares_sets(queries: list[list[int]], database: list[list[int]]) -> None:
    expected = [[len({*q} & {*d}) / len({*q} | {*d}) if q or d else 1.0 for d in database] for q in queries]
    np.testing.assert_allclose(presence_iou(counts(queries), counts(database)), expected)
    np.testing.assert_allclose(presence_iou(counts(queries) > 0, counts(database) > 0), expected)


@pytest.mark.parametrize("score", [count_f1, presence_iou])
@given(objects=images)
def test_scores_are_symmetric_and_1_for_itself(score: Callable, objects: list[list[int]]) -> None:
    scores = score(counts(objects), counts(objects))
    np.testing.assert_array_equal(scores, scores.T)
    np.testing.assert_array_equal(scores.diagonal(), 1.0)
    assert np.all((scores >= 0) & (scores <= 1))


def test_small_integers_do_not_overflow() -> None:
    counts_of_two = np.full((2, 3), 200, dtype=np.uint8)
    np.testing.assert_array_equal(count_f1(counts_of_two, counts_of_two), 1.0)


@pytest.mark.parametrize("score", [count_f1, presence_iou])
def test_scores_refuse(score: Callable, subtests: pytest.Subtests) -> None:
    for queries, database, message in (
        ([[1, 2]], [[1, 2, 3]], r"same classes, got \(1, 2\) and \(1, 3\)"),
        ([1, 2], [[1, 2]], r"same classes, got \(2,\) and \(1, 2\)"),
        ([[0.5]], [[1]], "must be integers, got float64"),
        ([[1]], [[-2]], "can't be negative, got -2"),
    ):
        with subtests.test(message), pytest.raises(ValueError, match=message):
            score(queries, database)


def test_neighbours_by_hand() -> None:
    similarity = [[0.9, 0.5, 0.9, 0.7], [0.1, 0.2, 0.3, 0.4]]
    assert neighbours(similarity, k=3).tolist() == [[0, 2, 3], [3, 2, 1]]
    found = neighbours(similarity, k=3, query_groups=["a", "b"], database_groups=["a", "c", "b", "b"])
    assert found.tolist() == [[2, 3, 1], [1, 0, -1]]


def test_own_group_is_never_returned_even_if_identical() -> None:
    similarity = np.array([[np.inf, -np.inf, -np.inf]])
    groups = [("scene", "video 1"), ("scene", "video 2"), ("scene", "video 1")]
    assert neighbours(similarity, k=2, query_groups=groups[:1], database_groups=groups).tolist() == [[1, -1]]


@given(st.data(), st.integers(1, 5), st.integers(1, 8), st.integers(1, 6))
def test_neighbours_are_a_full_sort(data: st.DataObject, n: int, m: int, k: int) -> None:
    similarity = data.draw(arrays(np.float32, (n, m), elements=few_values))
    query_groups = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    database_groups = data.draw(st.lists(st.integers(0, 3), min_size=m, max_size=m))
    lonely = [q for q in query_groups if set(database_groups) == {q}]
    if lonely:
        with pytest.raises(ValueError, match=f"query {query_groups.index(lonely[0])} has no neighbour"):
            neighbours(similarity, k=k, query_groups=query_groups, database_groups=database_groups)
        return
    found = neighbours(similarity, k=k, query_groups=query_groups, database_groups=database_groups)
    np.testing.assert_array_equal(found, naive.neighbours(similarity, k, query_groups, database_groups))


def test_neighbours_refuse(subtests: pytest.Subtests) -> None:
    for similarity, settings, message in (
        (np.zeros(3), {}, r"a real RSM \[q, d\] and k >= 1, got float64 \(3,\)"),
        (np.zeros((2, 3)), {"k": 0}, "k = 0"),
        (np.zeros((1, 3), dtype=int), {}, "got int64"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), {}, "1 of the 2 similarities of query 1 are NaN"),
        (np.zeros((2, 0)), {}, "query 0 has no neighbour"),
        (np.zeros((1, 2)), {"query_groups": "a"}, r"\[1, 2\] needs as many groups, got 1 and 0"),
        (np.zeros((1, 2)), {"query_groups": "a", "database_groups": "aaa"}, "got 1 and 3"),
    ):
        with subtests.test(message), pytest.raises(ValueError, match=message):
            neighbours(similarity, **settings)


def test_scores_at_1_and_best_of_k() -> None:
    scores = np.array([[0.1, 0.2, 0.9], [0.3, 0.8, 0.5]])
    found = neighbour_scores(scores, np.array([[1, 0, 2], [0, 2, -1]]))
    np.testing.assert_array_equal(found, [[0.2, 0.1, 0.9], [0.3, 0.5, np.nan]])
    np.testing.assert_array_equal(best_of(found, 1), [0.2, 0.3])
    np.testing.assert_array_equal(best_of(found, 2), [0.2, 0.5])
    np.testing.assert_array_equal(best_of(found, 3), [0.9, 0.5])
