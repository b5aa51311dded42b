"""MaxSim of the pairs of a tile, against its slow twin."""

import tracemalloc

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching.maxsim import max_similarities, working_bytes
from tests import naive

seeds = st.integers(0, 2**32 - 1)


def images(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=30)
@given(seed=seeds, r=st.integers(1, 4), q=st.integers(1, 4), s=st.integers(1, 40), c=st.integers(1, 9))
def test_is_its_slow_twin(seed: int, r: int, q: int, s: int, c: int) -> None:
    left, right = images(seed, r, s, c), images(seed + 1, q, s, c)
    expected = [[naive.maxsim(a, b) for b in right] for a in left]
    found = max_similarities(left, right, np.ones((r, q), bool))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * s)


@given(seed=seeds, s=st.integers(1, 40), c=st.integers(1, 30))
def test_both_orders_of_a_pair_have_the_same_bits_wherever_it_stands(seed: int, s: int, c: int) -> None:
    left, right = images(seed, 2, s, c), images(seed + 1, 3, s, c)
    found = max_similarities(left, right, np.ones((2, 3), bool))
    np.testing.assert_array_equal(max_similarities(right, left, np.ones((3, 2), bool)), found.T)
    alone = max_similarities(left[1:], right[2:], np.ones((1, 1), bool))
    np.testing.assert_array_equal(alone, found[1:, 2:])


def test_where_all_inner_products_are_negative() -> None:
    """Nothing beyond the last column or row is taken for a partner with the product 0."""
    x = 1 + np.abs(images(0, 1, 7, 3))
    assert max_similarities(x, -x, np.ones((1, 1), bool)).item() == pytest.approx(naive.maxsim(x[0], -x[0]), rel=1e-6)


def test_only_the_pairs_of_the_mask() -> None:
    x, y = images(0, 3, 5, 2), images(1, 4, 5, 2)
    mask = np.eye(3, 4, dtype=bool)
    whole = max_similarities(x, y, np.ones((3, 4), bool))
    np.testing.assert_array_equal(max_similarities(x, y, mask), np.where(mask, whole, 0))


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the plain twin builds the affinity")
@pytest.mark.parametrize(("s", "c"), [(1, 1), (49, 320), (1000, 24)])
def test_takes_the_memory_that_it_says(s: int, c: int) -> None:
    x, mask = np.zeros((1, s, c), np.float32), np.ones((1, 1), bool)
    max_similarities(x, x, mask)  # compiles
    tracemalloc.start()
    max_similarities(x, x, mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= working_bytes(s, c) + 4096
    assert working_bytes(s, c) <= peak
