import numpy as np
import pytest

from semrsm_cli.rsm import gram
from semrsm_cli.rsm.translation import best_shifts
from tests import naive


@pytest.mark.parametrize("grid", [(1, 1), (1, 6), (5, 1), (4, 4), (3, 5), (2, 7)])
def test_is_the_best_of_all_circular_shifts(grid: tuple[int, int], rng: np.random.Generator) -> None:
    s = grid[0] * grid[1]
    x, y = rng.normal(size=(2, 3, s, 4)).astype(np.float32)
    expected = [[naive.best_shift(a, b, grid) for b in y] for a in x]
    np.testing.assert_allclose(best_shifts(x, y, grid), expected, rtol=1e-5, atol=1e-5)


def test_a_shifted_image_is_the_same(rng: np.random.Generator) -> None:
    image = rng.normal(size=(4, 5, 3))
    shifted = np.roll(image, (1, 3), axis=(0, 1))
    g = gram(np.stack([image, shifted]).reshape(2, 20, 3), invariance="translation", grid=(4, 5))
    np.testing.assert_allclose(g.inner, g.sq_x[0], rtol=1e-6)
    np.testing.assert_array_equal(g.inner, g.bound)
