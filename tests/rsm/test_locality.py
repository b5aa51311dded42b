"""What it costs to move a position: between permutation and none, and what it may not depend on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.matching import optimal as optimal_module
from semrsm_cli.rsm import Matcher, estimate_cost, gram, rsm
from semrsm_cli.rsm import matcher as matcher_module
from semrsm_cli.rsm import plan as plan_module
from semrsm_cli.rsm.locality import append_places, places
from semrsm_cli.rsm.movement import sample_movement
from tests import naive

FINE = Matcher(tolerance=1e-7)
GRIDS = [(1, 1), (1, 5), (2, 3), (3, 3), (4, 2)]


def images(seed: int, n: int, grid: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, math.prod(grid), 4)).astype(np.float32)


@settings(max_examples=25)
@given(
    grid=st.sampled_from(GRIDS),
    seed=st.integers(0, 2**32 - 1),
    locality=st.sampled_from([0.01, 0.3, 2.0, 16.0, 31.0, 33.0, 500.0, 1e6]),
    is_within=st.booleans(),
)
def test_is_the_optimum_less_the_cost_of_displacement(
    grid: tuple[int, int], seed: int, locality: float, is_within: bool
) -> None:
    x, y = images(seed, 3, grid), images(seed + 1, 2, grid)
    g = gram(x, None if is_within else y, matcher=FINE, grid=grid, locality=locality)
    expected = naive.gram_with_locality(x, x if is_within else y, grid, locality)
    size = np.abs(expected).max()
    np.testing.assert_allclose(g.inner, expected, rtol=1e-5, atol=1e-5 * size)
    assert (g.bound >= g.inner).all()
    assert (g.bound >= expected - 1e-5 * size).all()


@settings(max_examples=25)
@given(grid=st.sampled_from(GRIDS), seed=st.integers(0, 2**32 - 1))
def test_its_ends_are_permutation_and_none(grid: tuple[int, int], seed: int) -> None:
    x, y = images(seed, 3, grid), images(seed + 1, 2, grid)
    free, none = gram(x, y), gram(x, y, invariance="none")
    least, most = (gram(x, y, grid=grid, locality=locality) for locality in (0.0, 1e6))
    np.testing.assert_array_equal(least.inner, free.inner)
    np.testing.assert_array_equal(least.bound, free.bound)
    np.testing.assert_allclose(most.inner, none.inner, atol=1e-6 * np.abs(free.inner).max(), rtol=1e-6)


@settings(max_examples=15)
@given(grid=st.sampled_from(GRIDS), seed=st.integers(0, 2**32 - 1))
def test_falls_and_is_convex(grid: tuple[int, int], seed: int) -> None:
    x, y = images(seed, 3, grid), images(seed + 1, 2, grid)
    at = [0.0, 0.5, 1.0, 2.0, 4.0, 32.0, 60.0, 1000.0]
    grams = [gram(x, y, matcher=FINE, grid=grid, locality=locality) for locality in at]
    room = 1e-5 * np.abs(grams[0].inner).max()
    for more, less in zip(grams[1:], grams, strict=False):
        assert (more.inner <= less.bound + room).all()
    for a, b, c in zip(at, at[1:], at[2:], strict=False):
        first, middle, last = (grams[at.index(one)] for one in (a, b, c))
        chord = ((c - b) * first.bound + (b - a) * last.bound) / (c - a)
        assert (middle.inner <= chord + room).all()


def test_positions_move_less_the_more_it_costs() -> None:
    grid = (6, 6)
    x = images(0, 8, grid)
    moved = [sample_movement(x, grid=grid, locality=at).displacement for at in (0.0, 1.0, 4.0, 16.0, 1000.0)]
    assert sorted(moved, reverse=True) == moved
    assert moved[0] > 0.3
    assert moved[-1] == 0


def test_movement_is_that_of_the_matched_positions() -> None:
    grid = (2, 3)
    x, y = images(3, 2, grid), images(4, 2, grid)
    distances = []
    for a in x:
        for b in y:
            columns = FINE.match(a @ b.T).col_of_row
            p = np.array([(i // 3, i % 3) for i in range(6)])
            distances += list(np.linalg.norm(p - p[columns], axis=1) / math.hypot(2, 3))
    assert sample_movement(x, y, matcher=FINE, grid=grid).displacement == pytest.approx(np.mean(distances))
    assert math.isnan(sample_movement(x, y).displacement)
    assert math.isnan(sample_movement(x[:1]).displacement)


def test_tiles_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = (3, 3)
    x, y = images(5, 6, grid), images(6, 5, grid)
    monkeypatch.setattr(plan_module, "_TILES_ON_A_SIDE", 1)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "PRODUCT_BYTES", 0)
    for other in (None, y):
        for locality in (2.0, 100.0):
            found = []
            for largest, threads in ((2, 1), (2, 3), (100, 3)):
                monkeypatch.setattr(plan_module, "_MAX_IMAGES", largest)
                g = gram(x, other, grid=grid, locality=locality, threads=threads)
                found.append((g.inner.tobytes(), g.bound.tobytes()))
            assert len(set(found)) == 1


def test_what_it_is_measured_in_does_not_depend_on_the_pairs() -> None:
    grid = (2, 2)
    x, y = images(7, 4, grid), 3 * images(8, 5, grid)
    whole = gram(x, y, grid=grid, locality=2.0)
    pairs = np.random.default_rng(0).random((4, 5)) < 0.5
    np.testing.assert_allclose(
        gram(x, y, grid=grid, locality=2.0, pairs=pairs).inner[pairs], whole.inner[pairs], rtol=2e-4
    )
    np.testing.assert_array_equal(gram(x[:2], y, grid=grid, locality=2.0).inner, whole.inner[:2])
    unit = float((y.astype(float) ** 2).sum(2).mean())
    part = gram(x, y[:2], grid=grid, locality=2.0, unit=unit)
    np.testing.assert_allclose(part.inner, whole.inner[:, :2], rtol=2e-4)


def test_the_scale_of_y_does_not_matter() -> None:
    grid = (2, 3)
    x, y = images(7, 4, grid), images(8, 5, grid)
    one, other = gram(x, y, grid=grid, locality=2.0, unit=1.0), gram(3 * x, 3 * y, grid=grid, locality=2.0, unit=9.0)
    np.testing.assert_allclose(9 * one.inner, other.inner, rtol=2e-4, atol=1e-3)
    np.testing.assert_allclose(
        rsm(x, grid=grid, locality=2.0, matcher=FINE), rsm(5 * x, grid=grid, locality=2.0, matcher=FINE), atol=1e-5
    )


def test_where_no_matrix_is_built_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = (8, 8)
    x = images(9, 3, grid)
    built = gram(x, grid=grid, locality=3.0)
    monkeypatch.setattr(affinities_module, "MAX_MATRIX_BYTES", 0)
    monkeypatch.setattr(optimal_module, "_solve_tile", None)  # would fail if a matrix were built
    np.testing.assert_allclose(gram(x, grid=grid, locality=3.0).inner, built.inner, rtol=2e-4, atol=1e-2)


def test_places_are_in_diagonals_from_the_middle() -> None:
    np.testing.assert_allclose(places((3, 4))[[0, 11]], [[-1 / 5, -1.5 / 5], [1 / 5, 1.5 / 5]])
    left, right = append_places(np.zeros((1, 6, 1)), np.zeros((2, 6, 1)), ((2, 3), (2, 3)), 5.0)
    distance = np.linalg.norm(places((2, 3))[:, None] - places((2, 3)), axis=2)
    np.testing.assert_allclose(left[0] @ right[1].T, -5 * distance**2, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"locality": -1.0}, "locality must be at least 0 and finite, got -1.0"),
        ({"locality": math.inf}, "locality must be at least 0 and finite, got inf"),
        ({"locality": math.nan}, "locality must be at least 0 and finite, got nan"),
        ({"locality": 1.0}, r"locality needs the grid \(height, width\) of the 6 positions, got grid=None"),
        ({"locality": 1.0, "grid": (2, 2)}, r"locality needs .* of the 6 positions, got grid=\(2, 2\)"),
        ({"locality": 1.0, "grid": (2, 3), "invariance": "none"}, "locality=1.0 goes with permutation, got .*=none"),
        ({"locality": 1.0, "grid": (2, 3), "matcher": Matcher(method="greedy")}, "locality needs a .* got greedy"),
        ({"locality": 1.0, "grid": (2, 3), "unit": 0.0}, "unit, the mean squared norm .* above 0 and finite, got 0.0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    for call in (gram, rsm, estimate_cost):
        with pytest.raises(ValueError, match=message):
            call(images(0, 3, (2, 3)), **arguments)
