import numpy as np
import pytest

from semrsm_cli.rsm import Gram, Kernel, gram, kernel, rsm


@pytest.fixture
def g(rng: np.random.Generator) -> Gram:
    return gram(rng.normal(size=(7, 4, 3)), rng.normal(size=(6, 4, 3)))


def squared_distances(g: Gram) -> np.ndarray:
    return g.sq_x[:, None] + g.sq_y[None, :] - 2 * g.inner


def test_median_over_the_whole_matrix(g: Gram) -> None:
    squares = squared_distances(g)
    np.testing.assert_allclose(kernel(g, "rbf"), np.exp(-squares / (2 * np.median(squares))))


def test_median_within_tiles(g: Gram) -> None:
    squares = squared_distances(g)
    found = kernel(g, "rbf", sigma_tile=4)
    for rows in (slice(0, 4), slice(4, 7)):
        for columns in (slice(0, 4), slice(4, 6)):
            part = squares[rows, columns]
            np.testing.assert_allclose(found[rows, columns], np.exp(-part / (2 * np.median(part))))


def test_zero_distances_do_not_count_for_the_median(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 5, 3))
    g = gram(x)
    off_diagonal = squared_distances(g)[~np.eye(4, dtype=bool)]
    assert kernel(g, "rbf")[0, 1] == pytest.approx(np.exp(-squared_distances(g)[0, 1] / (2 * np.median(off_diagonal))))
    np.testing.assert_array_equal(np.diag(kernel(g, "rbf")), 1)


def test_images_that_are_all_the_same(rng: np.random.Generator) -> None:
    x = np.repeat(rng.normal(size=(1, 5, 3)), 3, axis=0)
    np.testing.assert_allclose(kernel(gram(x), "rbf"), 1)
    np.testing.assert_allclose(kernel(gram(x), "cosine"), 1, rtol=1e-5)


def test_images_of_zeros_have_cosine_zero() -> None:
    np.testing.assert_array_equal(rsm(np.zeros((2, 3, 4)), kernel="cosine"), 0)


def test_no_kernel_changes_the_gram(g: Gram) -> None:
    before = g.inner.copy()
    for name in Kernel:
        kernel(g, name)[:] = 0
    np.testing.assert_array_equal(g.inner, before)


def test_rsm_is_gram_and_kernel(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 3, 6, 4))
    np.testing.assert_array_equal(rsm(x, y), kernel(gram(x, y), "cosine"))
    found = rsm(x, kernel="rbf", invariance="translation", sigma=2.0, grid=(2, 3))
    np.testing.assert_array_equal(found, kernel(gram(x, invariance="translation", grid=(2, 3)), "rbf", sigma=2.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma": 0.0}, "sigma must be positive, got 0.0"),
        ({"sigma": np.nan}, "sigma must be positive, got nan"),
        ({"sigma_tile": 0}, "sigma_tile must be positive, got 0"),
        ({"sigma": 1.0, "sigma_tile": 5}, "give one of the two"),
    ],
)
def test_bad_sigma_is_named(g: Gram, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(g, "rbf", **settings)
