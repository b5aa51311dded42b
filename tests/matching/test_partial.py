"""Matchings that leave positions free: of unequal sizes, and of pairs that are worth more than a floor."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import Matching, Method, match
from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.matching import partial as partial_module
from tests import naive
from tests.matching.matrices import KINDS

SHAPES = [(1, 3), (3, 1), (2, 7), (30, 41), (41, 30), (49, 256)]


def made(kind: str, s: int, t: int) -> np.ndarray:
    rng = np.random.default_rng([zlib.crc32(kind.encode()), s, t])
    return np.ascontiguousarray(KINDS[kind](rng, max(s, t))[:s, :t]).astype(np.float32)


def check(affinity: np.ndarray, floor: float = -math.inf, tolerance: float = 1e-4) -> Matching:
    """A matching whose value and bound enclose the optimum, no further apart than allowed."""
    found = match(affinity, floor=floor, tolerance=tolerance)
    exact = affinity.astype(np.float64)
    size = min(exact.shape) * np.abs(exact).max()
    rows = np.flatnonzero(found.col_of_row >= 0)
    columns = found.col_of_row[rows]
    assert len(set(columns)) == len(columns)
    if floor == -math.inf:
        assert len(rows) == min(exact.shape)
    least = 0.0 if floor == -math.inf else floor
    assert found.value == pytest.approx((exact[rows, columns] - least).sum(), rel=1e-9, abs=1e-9 * size)
    optimum = naive.partial_optimum(affinity, floor)
    assert found.value <= optimum + 1e-6 * size
    assert found.bound >= optimum - 1e-6 * size
    # mean|A| is taken from some of the rows; heavy tails make that differ from the mean over all
    allowed = tolerance * max(abs(found.value), 3 * np.abs(exact).mean() * min(exact.shape) / 100)
    assert found.bound - found.value <= allowed + 1e-12 * size
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_unequal_sizes_agree_with_scipy(kind: str) -> None:
    for s, t in SHAPES:
        check(made(kind, s, t))


@pytest.mark.parametrize("kind", KINDS)
def test_floors_agree_with_scipy_on_what_exceeds_them(kind: str) -> None:
    for s, t in ((1, 1), (2, 2), (40, 40), (25, 40), (40, 25)):
        affinity = made(kind, s, t)
        for floor in (0.0, *np.quantile(affinity, [0.05, 0.5, 0.95])):
            check(affinity, float(floor))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_remember_find_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_module, "MAX_UNCACHED_ROW", 0)
    for s, t in ((2, 3), (60, 80), (150, 150)):
        affinity = made(kind, s, t)
        check(affinity)
        check(affinity, float(np.quantile(affinity, 0.7)))


@settings(max_examples=40)
@given(
    s=st.integers(1, 30),
    t=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    tolerance=st.sampled_from([1e-1, 1e-3, 1e-6, 1e-9]),
    quantile=st.sampled_from([None, 0.0, 0.3, 0.9, 1.0]),
)
def test_encloses_the_optimum_for_any_size_and_floor(
    s: int, t: int, seed: int, kind: str, tolerance: float, quantile: float | None
) -> None:
    affinity = np.ascontiguousarray(KINDS[kind](np.random.default_rng(seed), max(s, t))[:s, :t]).astype(np.float32)
    floor = -math.inf if quantile is None else float(np.quantile(affinity, quantile))
    optimum, found = naive.partial_optimum(affinity, floor), match(affinity, floor=floor, tolerance=tolerance)
    room = 1e-6 * min(s, t) * np.abs(affinity.astype(float)).max()
    assert found.value - room <= optimum <= found.bound + room


@settings(max_examples=30)
@given(s=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(sorted(KINDS)))
def test_a_floor_of_minus_infinity_is_the_full_matching(s: int, seed: int, kind: str) -> None:
    affinity = KINDS[kind](np.random.default_rng(seed), s).astype(np.float32)
    full = match(affinity)
    for floor in (None, -math.inf):
        found = match(affinity, floor=floor)
        assert (found.value, found.bound) == (full.value, full.bound)
        np.testing.assert_array_equal(found.col_of_row, full.col_of_row)


@settings(max_examples=30)
@given(s=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_the_matched_share_falls_with_the_floor(s: int, seed: int) -> None:
    affinity = np.random.default_rng(seed).normal(size=(s, s))
    floors = np.quantile(affinity, np.linspace(0, 1, 9))
    found = [match(affinity, floor=float(floor), tolerance=1e-9) for floor in floors]
    counts = [np.count_nonzero(one.col_of_row >= 0) for one in found]
    assert sorted(counts, reverse=True) == counts
    assert counts[-1] == 0
    values = [one.value for one in found]
    assert sorted(values, reverse=True) == pytest.approx(values)


@settings(max_examples=30)
@given(s=st.integers(2, 20), seed=st.integers(0, 2**32 - 1), quantile=st.floats(0.1, 0.95))
def test_it_holds_the_best_of_as_many_pairs(s: int, seed: int, quantile: float) -> None:
    affinity = np.random.default_rng(seed).normal(size=(s, s))
    floor = float(np.quantile(affinity, quantile))
    found = match(affinity, floor=floor, tolerance=1e-9)
    k = np.count_nonzero(found.col_of_row >= 0)
    assert found.value + k * floor == pytest.approx(naive.best_of_k_pairs(affinity, k), abs=1e-6 * s)


@pytest.mark.parametrize(("s", "t", "c"), [(5, 9, 3), (90, 64, 8), (200, 200, 6)])
def test_vectors_need_no_matrix(s: int, t: int, c: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(s)
    x, y = rng.normal(size=(s, c)).astype(np.float32), rng.normal(size=(t, c)).astype(np.float32)
    monkeypatch.setattr(affinities_module, "MAX_MATRIX_BYTES", 0)
    monkeypatch.setattr(partial_module, "_solve_tile", None)  # would fail if a matrix were built
    for floor in (-math.inf, 1.0):
        found = match(None, x=x, y=y, floor=floor)
        optimum = naive.partial_optimum(x.astype(np.float64) @ y.astype(np.float64).T, floor)
        assert found.value <= optimum * (1 + 1e-6)
        assert found.bound >= optimum * (1 - 1e-6)
        assert found.bound - found.value <= 1e-4 * abs(found.value) * (1 + 1e-6)


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.optimal])
def test_other_methods_match_all_of_a_square(method: Method) -> None:
    x, y = np.ones((3, 2)), np.ones((4, 2))
    with pytest.raises(ValueError, match=rf"must be square for {method}, got \(3, 4\); optimal matches unequal sizes"):
        match(x @ y.T, method=method, x=x, y=y)
    with pytest.raises(ValueError, match=f"floor=0.5 goes with the method optimal, got {method}"):
        match(x @ x.T, method=method, x=x, y=x, floor=0.5)


@pytest.mark.parametrize("floor", [math.inf, math.nan])
def test_a_floor_is_a_number(floor: float) -> None:
    with pytest.raises(ValueError, match=f"floor must be a number, or be left out, got {floor}"):
        match(np.eye(2), floor=floor)
