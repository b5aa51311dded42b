"""Separation of overlapping from unrelated crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from semrsm_cli.measures.separation import overlapping_pairs, separation, unrelated_pairs
from tests import naive

# few distinct values, so that ties are common
similarities = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=20)


def test_worked_example() -> None:
    # 0.9 beats all three; 0.5 beats 0.1, ties with 0.5 and loses to 0.6: (3 + 1.5) / 6
    assert separation([0.9, 0.5], [0.5, 0.1, 0.6]) == 0.75


def test_extremes() -> None:
    assert separation([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert separation([0.0], [1.0, 2.0]) == 0.0
    assert separation([1.0, 1.0], [1.0]) == 0.5


@given(similarities, similarities)
def test_counts_pairs(overlapping: list[float], unrelated: list[float]) -> None:
    area = separation(overlapping, unrelated)
    assert area == pytest.approx(naive.separation(overlapping, unrelated), abs=1e-12)
    assert separation(unrelated, overlapping) == pytest.approx(1 - area, abs=1e-12)
    assert separation(np.exp(overlapping), np.exp(unrelated)) == pytest.approx(area, abs=1e-12)


def test_is_the_mann_whitney_statistic(rng: np.random.Generator) -> None:
    overlapping, unrelated = rng.normal(1, size=200), rng.normal(size=3000).round(1)
    expected = mannwhitneyu(overlapping, unrelated).statistic / (200 * 3000)
    assert separation(overlapping, unrelated) == pytest.approx(expected, abs=1e-12)


def test_refuses(subtests: pytest.Subtests) -> None:
    for overlapping, unrelated, message in (
        ([], [1.0], "no overlapping similarities"),
        ([1.0], [], "no unrelated similarities"),
        ([1.0, np.nan], [0.0], "1 of 2 overlapping similarities are NaN"),
        ([1.0], [np.nan, np.nan, 0.0], "2 of 3 unrelated similarities are NaN"),
    ):
        with subtests.test(message), pytest.raises(ValueError, match=message):
            separation(overlapping, unrelated)


@given(st.integers(2, 8))
def test_every_pair_of_crops_has_one_place(n: int) -> None:
    photograph = np.tile(np.arange(n), 2)
    pairs = {"overlapping": overlapping_pairs(n), "unrelated": unrelated_pairs(n)}
    for name, (rows, cols) in pairs.items():
        assert np.all((photograph[rows] == photograph[cols]) == (name == "overlapping"))
    unordered = [frozenset(pair) for rows, cols in pairs.values() for pair in zip(rows, cols, strict=True)]
    assert len(unordered) == len(set(unordered)) == 2 * n * (2 * n - 1) // 2
    assert all(len(pair) == 2 for pair in unordered)


def test_pairs_of_a_small_rsm() -> None:
    # photographs A and B: upper A, upper B, lower A, lower B
    rsm = np.array([[1.0, 0.1, 0.8, 0.2], [0.1, 1.0, 0.3, 0.7], [0.8, 0.3, 1.0, 0.4], [0.2, 0.7, 0.4, 1.0]])
    assert rsm[overlapping_pairs(2)].tolist() == [0.8, 0.7]
    assert sorted(rsm[unrelated_pairs(2)]) == [0.1, 0.2, 0.3, 0.4]
