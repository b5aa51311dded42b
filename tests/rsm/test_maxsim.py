"""The invariance `maxsim`: every concept vector with its best partner, the mean of both directions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.rsm import Invariance, estimate_cost, gram, kernel, rsm
from semrsm_cli.rsm import plan as plan_module
from semrsm_cli.rsm.matcher import PairMatcher
from semrsm_cli.rsm.plan import Plan
from tests import naive

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(7, 9, 4)).astype(np.float32)


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 9, 4)).astype(np.float32)


def test_is_its_slow_twin_and_so_is_the_product_with_itself(x: np.ndarray, y: np.ndarray) -> None:
    g = gram(x, y, invariance="maxsim")
    np.testing.assert_allclose(g.inner, [[naive.maxsim(a, b) for b in y] for a in x], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(g.bound, g.inner)
    for side, own in ((x, g.sq_x), (y, g.sq_y)):
        np.testing.assert_allclose(own, [naive.maxsim(a, a) for a in side], rtol=1e-5)
    np.testing.assert_array_equal(gram(y, x, invariance="maxsim").inner, g.inner.T)


def test_an_image_and_itself_have_cosine_1_and_distance_0(x: np.ndarray) -> None:
    alone, twice = gram(x, invariance="maxsim"), gram(x, x.copy(), invariance="maxsim")
    np.testing.assert_array_equal(alone.inner, twice.inner)
    for name in ("cosine", "rbf"):
        values = kernel(twice, name)
        np.testing.assert_allclose(values.diagonal(), 1)
        np.testing.assert_array_equal(values, kernel(alone, name))
        np.testing.assert_array_equal(values, values.T)
    assert (kernel(twice, "rbf") <= 1).all()
    np.testing.assert_array_equal(rsm(x, invariance="maxsim", centering="none"), kernel(alone, "cosine"))


@settings(max_examples=30)
@given(seed=seeds, s=st.integers(1, 20), c=st.integers(1, 6))
def test_no_matching_exceeds_it_and_no_order_of_positions_changes_it(seed: int, s: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3, s, c)).astype(np.float32)
    g = gram(x, y, invariance="maxsim")
    room = 1e-5 * s * c
    assert (gram(x, y).inner <= g.inner + room).all()
    shuffled = np.stack([image[rng.permutation(s)] for image in x])
    again = gram(shuffled, y, invariance="maxsim")
    np.testing.assert_allclose(again.inner, g.inner, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(again.sq_x, g.sq_x, rtol=1e-12)


@given(seed=seeds, s=st.integers(1, 8))
def test_is_none_where_every_vector_has_its_best_partner_at_its_own_place(seed: int, s: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (np.eye(s) * rng.uniform(1, 2, size=(3, s, 1)) for _ in range(2))  # a channel for each position
    np.testing.assert_allclose(gram(x, y, invariance="maxsim").inner, gram(x, y, invariance="none").inner, rtol=1e-6)


def test_a_cosine_above_1_is_left_and_a_distance_below_0_counts_as_0() -> None:
    many = np.full((1, 16, 1), 1.0)  # each has its best partner in the one large vector
    one = np.zeros((1, 16, 1))
    one[0, 0] = 10.0
    g = gram(many, one, invariance="maxsim")
    assert (g.inner.item(), g.sq_x.item(), g.sq_y.item()) == ((160 + 10) / 2, 16, 100)
    assert kernel(g, "cosine").item() == pytest.approx(85 / 40)
    assert kernel(g, "rbf", sigma=1.0).item() == 1


def test_tiles_threads_and_a_store_change_no_bit(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gram(x, invariance="maxsim", threads=1)
    monkeypatch.setattr(plan_module, "_MAX_IMAGES", 2)
    for threads in (1, 3):
        small = gram(x, invariance="maxsim", threads=threads)
        for part in ("inner", "bound", "sq_x"):
            np.testing.assert_array_equal(getattr(small, part), getattr(whole, part))


def test_needs_no_affinity_and_stays_within_the_memory() -> None:
    maxsim, optimal = PairMatcher(Invariance.maxsim), PairMatcher(Invariance.permutation)
    for n, s, c in [(1, 4096, 40), (8, 4096, 40), (1, 65536, 16)]:
        assert maxsim.memory(n, s, c) < optimal.memory(n, s, c)
    assert maxsim.memory(1, 65536, 16) < 2**26 < 4 * 65536**2
    shape = np.broadcast_to(np.float32(0), (400, 1024, 112))
    for gib in (0.01, 0.1, 4):
        assert Plan.of(shape, None, maxsim, 16, gib).memory <= gib * 2**30


def test_its_cost_is_estimated(x: np.ndarray) -> None:
    ahead = estimate_cost(x, invariance="maxsim", threads=1)
    assert ahead.pairs == 28
    assert 0 < ahead.seconds < 1
