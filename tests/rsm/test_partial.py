"""RSMs of matchings that leave positions free: with a floor, and of images of unequal size."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.rsm import Matcher, estimate_cost, gram, kernel, rsm
from semrsm_cli.rsm import matcher as matcher_module
from semrsm_cli.rsm import plan as plan_module
from semrsm_cli.rsm.movement import sample_movement
from tests import naive


def images(seed: int, n: int, s: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, s, 4)).astype(np.float32)


def expected(x: np.ndarray, y: np.ndarray, floor: float | None = None) -> np.ndarray:
    exact_x, exact_y = x.astype(np.float64), y.astype(np.float64)
    least = -math.inf if floor is None else floor * (exact_y**2).sum(axis=2).mean()
    return np.array([[naive.partial_optimum(a @ b.T, least) for b in exact_y] for a in exact_x])


@settings(max_examples=25)
@given(
    s=st.integers(1, 12),
    t=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    floor=st.sampled_from([None, -0.5, 0.0, 0.4, 3.0]),
)
def test_is_the_optimum_of_every_pair(s: int, t: int, seed: int, floor: float | None) -> None:
    x, y = images(seed, 3, s), images(seed + 1, 2, t)
    g = gram(x, y, matcher=Matcher(tolerance=1e-7, floor=floor))
    optimum = expected(x, y, floor)
    np.testing.assert_allclose(g.inner, optimum, rtol=1e-5, atol=1e-4)
    assert (g.bound >= g.inner).all()
    assert (g.bound >= optimum - 1e-4).all()
    turned = gram(y, x, matcher=Matcher(tolerance=1e-7, floor=floor), invariance="permutation")
    if floor is None:
        np.testing.assert_allclose(turned.inner.T, optimum, rtol=1e-5, atol=1e-4)


@settings(max_examples=25)
@given(s=st.integers(1, 10), seed=st.integers(0, 2**32 - 1), floor=st.sampled_from([-0.5, 0.0, 0.4, 3.0]))
def test_an_image_with_itself_is_matched_by_the_same_rule(s: int, seed: int, floor: float) -> None:
    x = images(seed, 4, s)
    g = gram(x, matcher=Matcher(tolerance=1e-7, floor=floor))
    np.testing.assert_allclose(g.inner, expected(x, x, floor), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(np.diag(g.inner), g.sq_x)
    assert (2 * g.inner <= g.sq_x[:, None] + g.sq_x + 1e-4).all(), "no squared distance is negative"
    similarity = kernel(g, "rbf", sigma=1.0)
    np.testing.assert_allclose(np.diag(similarity), 1)


def test_a_floor_below_all_affinities_adds_a_constant() -> None:
    x, y = images(0, 3, 6), images(1, 4, 6)
    full, low = gram(x, y), gram(x, y, matcher=Matcher(floor=-50.0))
    unit = (y.astype(float) ** 2).sum(axis=2).mean()
    np.testing.assert_allclose(low.inner - 6 * 50 * unit, full.inner, atol=0.02 * unit * 6)
    none = gram(x, y, matcher=Matcher(floor=-math.inf))
    np.testing.assert_array_equal(none.inner, full.inner)
    np.testing.assert_allclose(none.sq_x, full.sq_x)


def test_tiles_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(5, 6, 9), images(6, 5, 7)
    monkeypatch.setattr(plan_module, "_TILES_ON_A_SIDE", 1)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "PRODUCT_BYTES", 0)
    for other in (None, y):
        for floor in (None, 0.3):
            found = []
            for largest, threads in ((2, 1), (2, 3), (100, 3)):
                monkeypatch.setattr(plan_module, "_MAX_IMAGES", largest)
                g = gram(x, other, matcher=Matcher(floor=floor), threads=threads)
                found.append((g.inner.tobytes(), g.bound.tobytes(), g.sq_x.tobytes()))
            assert len(set(found)) == 1


def test_locality_and_floor_go_together_on_grids_of_their_own() -> None:
    x, y = images(7, 2, 6), images(8, 3, 12)
    g = gram(x, y, matcher=Matcher(tolerance=1e-7, floor=0.2), grid=(2, 3), grid_y=(3, 4), locality=1.5)
    unit = (y.astype(float) ** 2).sum(axis=2).mean()
    p = np.array([((r - 0.5) / 13**0.5, (c - 1) / 13**0.5) for r in range(2) for c in range(3)])
    q = np.array([((r - 1) / 5, (c - 1.5) / 5) for r in range(3) for c in range(4)])
    cost = 1.5 * unit * ((p[:, None] - q) ** 2).sum(axis=2)
    optimum = [[naive.partial_optimum(a @ b.T - cost, 0.2 * unit) for b in y.astype(float)] for a in x.astype(float)]
    np.testing.assert_allclose(g.inner, optimum, rtol=1e-5, atol=1e-4)


def test_the_share_of_matched_positions_falls_with_the_floor() -> None:
    x = images(9, 6, 25)
    shares = [sample_movement(x, matcher=Matcher(floor=floor)).matched_share for floor in (None, 0.0, 0.5, 1.0, 9.0)]
    assert shares[0] == 1
    assert sorted(shares, reverse=True) == shares
    assert shares[-1] == 0
    assert sample_movement(x, x[:, :9]).matched_share == 1
    assert math.isnan(sample_movement(x, matcher=Matcher(floor=9.0), grid=(5, 5)).displacement)


def test_sides_of_unequal_size_are_centred_each_by_its_own_mean() -> None:
    x, y = 5 + images(1, 4, 6), 3 + images(2, 5, 4)
    found = rsm(x, y, matcher=Matcher(tolerance=1e-7))
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    norms = np.linalg.norm(a.reshape(4, -1), axis=1)[:, None] * np.linalg.norm(b.reshape(5, -1), axis=1)
    np.testing.assert_allclose(found, expected(a, b) / norms, atol=1e-4)
    assert estimate_cost(x, y).pairs == 20
    assert rsm(x, y, invariance="pooled").shape == (4, 5)


@pytest.mark.parametrize("invariance", ["none", "translation", "maxsim"])
def test_other_invariances_need_equal_sizes(invariance: str) -> None:
    with pytest.raises(ValueError, match=r"same positions and channels, got \(6, 4\) and \(4, 4\)"):
        gram(images(0, 2, 6), images(1, 2, 4), invariance=invariance)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"floor=0.1 goes with the method optimal, got greedy"):
        Matcher(method="greedy", floor=0.1)
    with pytest.raises(ValueError, match="floor must be a number, or be left out, got nan"):
        Matcher(floor=math.nan)
    with pytest.raises(ValueError, match=r"same positions and channels, got \(6, 4\) and \(4, 4\)"):
        gram(images(0, 2, 6), images(1, 2, 4), matcher=Matcher(method="scipy"))
