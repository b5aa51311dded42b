import numpy as np
import pytest

from semrsm_cli.rsm import Gram, Kernel, KernelRows, gram, kernel, median_sigma_by_rows, rsm
from semrsm_cli.rsm import kernels as kernels_module


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
    np.testing.assert_array_equal(rsm(np.zeros((2, 3, 4)), kernel="cosine", centering="none"), 0)


def test_no_kernel_changes_the_gram(g: Gram) -> None:
    before = g.inner.copy()
    for name in Kernel:
        kernel(g, name)[:] = 0
    np.testing.assert_array_equal(g.inner, before)


def test_rsm_is_gram_and_kernel(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 3, 6, 4))
    np.testing.assert_array_equal(rsm(x, y, centering="none"), kernel(gram(x, y), "cosine"))
    found = rsm(x, kernel="rbf", invariance="translation", sigma=2.0, grid=(2, 3), centering="none")
    np.testing.assert_array_equal(found, kernel(gram(x, invariance="translation", grid=(2, 3)), "rbf", sigma=2.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma": 0.0}, "sigma must be above 0 and finite, got 0.0"),
        ({"sigma": np.nan}, "sigma must be above 0 and finite, got nan"),
        ({"sigma_tile": 0}, "sigma_tile must be above 0 and finite, got 0"),
        ({"sigma": 1.0, "sigma_tile": 5}, "give one of the two"),
    ],
)
def test_bad_sigma_is_named(g: Gram, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(g, "rbf", **settings)
    with pytest.raises(ValueError, match=message):
        KernelRows(gram(np.ones((2, 3, 4))), "rbf", **settings)
    with pytest.raises(ValueError, match=message):
        rsm(np.ones((2, 3, 4)), kernel="rbf", **settings)


@pytest.mark.parametrize("settings", [{}, {"sigma": 2.0}, {"sigma_tile": 4}])
@pytest.mark.parametrize("name", Kernel)
def test_rows_of_a_kernel(
    name: Kernel, settings: dict, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = gram(rng.normal(size=(11, 4, 3)))
    whole = np.triu(kernel(g, name, **settings))
    monkeypatch.setattr(kernels_module, "_PAIRS_AT_ONCE", 30)  # two rows
    rows = KernelRows(g, name, **settings)
    assert rows.shape == (11, 11)
    for start, stop in ((0, 11), (3, 4), (2, 9), (10, 11)):
        found = rows[start:stop]
        assert found.dtype == rows.dtype == np.float32
        np.testing.assert_allclose(np.triu(found, start), whole[start:stop], rtol=1e-5)


def test_the_median_by_rows(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rng.normal(size=(9, 4, 3))
    g = gram(np.concatenate([x, x[:2]]))
    squares = squared_distances(g)[np.triu(np.ones((11, 11), bool), 1)]
    expected = np.sqrt(np.median(squares[squares > 1e-3]))
    assert median_sigma_by_rows(g) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(kernels_module, "_PAIRS_AT_ONCE", 30)
    assert median_sigma_by_rows(g) == pytest.approx(expected, rel=1e-5)
    assert median_sigma_by_rows(gram(np.ones((3, 4, 2)))) == 1


def test_rows_of_two_sets_are_refused(g: Gram) -> None:
    with pytest.raises(ValueError, match=r"takes images with themselves, got \(7, 6\) of two sets"):
        KernelRows(g, "cosine")


def test_no_kernel_of_a_gram_on_disk(rng: np.random.Generator) -> None:
    on_disk = Gram(inner=object(), bound=object(), sq_x=np.ones(2), sq_y=np.ones(2), symmetric=True)
    with pytest.raises(ValueError, match="takes a Gram in memory"):
        kernel(on_disk, "cosine")


def test_the_mean_of_x_is_subtracted_from_x_and_y(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 4, 6, 3)) + 5
    mean = x.mean(axis=0)
    np.testing.assert_allclose(rsm(x), kernel(gram(x - mean), "cosine"), atol=1e-6)
    np.testing.assert_allclose(rsm(x, y), kernel(gram(x - mean, y - mean), "cosine"), atol=1e-6)
    by_channel = x - x.mean(axis=(0, 1))
    np.testing.assert_allclose(rsm(x, centering="channel"), kernel(gram(by_channel), "cosine"), atol=1e-6)


def test_an_image_that_is_not_finite_is_named_though_centring_spreads_it(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 6, 3))
    x[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"\b2\b"):
        rsm(x)


def test_a_single_image_is_refused_where_centring_leaves_nothing_of_it() -> None:
    with pytest.raises(ValueError, match="centring leaves nothing of x"):
        rsm(np.ones((1, 2, 3)))
