"""The exact median of numbers that come in blocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semrsm_cli.rsm import gram
from semrsm_cli.rsm.gram import Gram
from semrsm_cli.rsm.kernels import kernel
from semrsm_cli.rsm.medians import median_of_blocks, sigma_of_parts

numbers = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324])


@given(st.lists(arrays(np.float64, st.integers(0, 30), elements=numbers), min_size=1, max_size=4))
def test_is_numpys_median_to_the_last_bit(blocks: list[np.ndarray]) -> None:
    positive = np.concatenate(blocks)
    positive = positive[positive > 0]
    with np.errstate(over="ignore"):
        expected = np.median(positive) if positive.size else None
        assert median_of_blocks(lambda: iter(blocks)) == expected


def test_many_numbers_near_each_other(rng: np.random.Generator) -> None:
    blocks = [rng.normal(100, 1e-3, size=1001) for _ in range(5)]
    assert median_of_blocks(lambda: iter(blocks)) == np.median(np.concatenate(blocks))


def test_sigma_is_that_of_the_whole(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(7, 4, 3)), rng.normal(size=(9, 4, 3))
    g = gram(x, y)

    def parts(step: int) -> list[Gram]:
        return [
            Gram(g.inner[i : i + step], g.bound[i : i + step], g.sq_x[i : i + step], g.sq_y, False)
            for i in range(0, 7, step)
        ]

    for step in (1, 3, 7):
        sigma = sigma_of_parts(lambda step=step: iter(parts(step)))  # type: ignore[misc]
        np.testing.assert_array_equal(kernel(g, "rbf", sigma=sigma), kernel(g, "rbf"))
    assert sigma_of_parts(lambda: iter([gram(np.ones((2, 1, 1)), np.ones((2, 1, 1)))])) == 1
