from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import Method
from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.rsm import Invariance, Matcher, gram, kernel
from semrsm_cli.rsm import matcher as matcher_module
from semrsm_cli.rsm import plan as plan_module
from tests import naive

FINE = Matcher(tolerance=1e-6)
FREER = (Invariance.none, Invariance.translation, Invariance.permutation)
APPROXIMATE = [Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal]


class Store:
    """A store of tiles in memory, which holds NaN where nothing was saved."""

    def __init__(self) -> None:
        self.tile_size = 0
        self.finished: set[tuple[int, int]] = set()

    def open(self, shape, tile_size):
        if tile_size != self.tile_size:
            self.tile_size, self.finished = tile_size, set()
            self.inner, self.bound = np.full((2, *shape), np.nan)

    def load(self, tile):
        if (tile.row, tile.col) in self.finished:
            return self.inner[tile.slices], self.bound[tile.slices]
        return None

    def save(self, tile, inner, bound):
        self.inner[tile.slices], self.bound[tile.slices] = inner, bound
        self.finished.add((tile.row, tile.col))


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(6, 9, 4)).astype(np.float32)


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 9, 4)).astype(np.float32)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of two images on a side, matched one pair at a time."""
    monkeypatch.setattr(plan_module, "_MAX_IMAGES", 2)
    monkeypatch.setattr(plan_module, "_TILES_ON_A_SIDE", 1)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "PRODUCT_BYTES", 0)


def test_is_the_optimum_of_every_pair(x: np.ndarray, y: np.ndarray) -> None:
    g = gram(x, y, matcher=Matcher(tolerance=1e-7))
    np.testing.assert_allclose(g.inner, naive.gram(x, y), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(g.sq_x, (x.astype(np.float64) ** 2).sum((1, 2)))
    np.testing.assert_allclose(g.sq_y, (y.astype(np.float64) ** 2).sum((1, 2)))
    assert (g.bound >= g.inner).all()
    assert not g.symmetric


def test_with_itself_is_symmetric_and_the_diagonal_is_the_norm(x: np.ndarray) -> None:
    g = gram(x)
    np.testing.assert_array_equal(g.inner, g.inner.T)
    np.testing.assert_array_equal(np.diag(g.inner), g.sq_x)
    np.testing.assert_allclose(g.inner, naive.gram(x, x), rtol=1e-4, atol=1e-3)
    assert g.symmetric


@pytest.mark.parametrize("method", [Method.optimal, Method.scipy, Method.ortools, *APPROXIMATE])
@pytest.mark.usefixtures("small_tiles")
def test_small_tiles_and_several_threads_change_nothing(x: np.ndarray, y: np.ndarray, method: Method) -> None:
    for other in (None, y):
        one = gram(x, other, matcher=Matcher(method=method, batch=4, n_exact=3), threads=1)
        three = gram(x, other, matcher=Matcher(method=method, batch=4, n_exact=3), threads=3)
        np.testing.assert_array_equal(one.inner, three.inner)
        np.testing.assert_array_equal(one.bound, three.bound)


def test_tile_size_does_not_change_the_result(
    x: np.ndarray, y: np.ndarray, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    whole = gram(x, y)
    request.getfixturevalue("small_tiles")
    np.testing.assert_allclose(gram(x, y).inner, whole.inner, rtol=2e-4)


@pytest.mark.parametrize("invariance", Invariance)
def test_pieces_and_the_threads_that_share_them_change_no_bit(
    x: np.ndarray, y: np.ndarray, invariance: Invariance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "_TILES_ON_A_SIDE", 1)
    monkeypatch.setattr(plan_module, "_MAX_PIECE_IMAGES", 2)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "PRODUCT_BYTES", 0)
    for other in (None, y):
        found, counted = [], []
        for largest, threads in ((2, 1), (4, 1), (4, 3), (100, 3)):
            monkeypatch.setattr(plan_module, "_MAX_IMAGES", largest)
            g = gram(x, other, invariance=invariance, grid=(3, 3), threads=threads, progress=counted.append)
            found.append((g.inner.tobytes(), g.bound.tobytes()))
        assert len(set(found)) == 1
        n, m = g.inner.shape
        assert sum(counted) == 4 * (n * (n + 1) // 2 if other is None else n * m)


class Copied:
    """Representations whose slices are copies, as those from a disk are."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, index: slice) -> np.ndarray:
        return self.x[index].copy()


@pytest.mark.parametrize("invariance", Invariance)
def test_it_does_not_matter_whether_both_sides_lie_at_one_place(
    rng: np.random.Generator, invariance: Invariance
) -> None:
    x = rng.normal(size=(12, 4, 48)).astype(np.float32)
    for there, y in ((Copied(x), None), (Copied(x), x), (x.copy(), x)):
        g, other = (
            gram(x, None if y is None else x, invariance=invariance, grid=(2, 2)),
            gram(there, y, invariance=invariance, grid=(2, 2)),
        )
        np.testing.assert_array_equal(g.inner, other.inner)
        np.testing.assert_array_equal(g.bound, other.bound)


@pytest.mark.parametrize("s", [9, 16, 50, 530])
def test_pairs_that_share_a_product_do_not_mix(s: int, rng: np.random.Generator) -> None:
    """A row is read in runs of 16, which may begin in one pair and end in the next."""
    x, y = rng.normal(size=(2, 3, s, 4)).astype(np.float32)
    np.testing.assert_allclose(gram(x, y).inner, naive.gram(x, y), rtol=1.1e-4)


@pytest.mark.parametrize("method", APPROXIMATE)
def test_approximations_lie_below_the_optimum_and_bounds_above(x: np.ndarray, y: np.ndarray, method: Method) -> None:
    g, optimum = gram(x, y, matcher=Matcher(method=method, batch=4, n_exact=3)), naive.gram(x, y)
    assert (g.inner <= optimum + 1e-4).all()
    assert (g.bound >= optimum - 1e-4).all()


@pytest.mark.parametrize(
    ("method", "twin"),
    [
        (Method.batch_optimal, lambda a, b: naive.batch_optimal(a, b, 4)),
        (Method.topk_greedy, lambda a, b: naive.topk_greedy(a, b, 3)),
        (Method.greedy, lambda a, b: naive.topk_greedy(a, b, 0)),
        (Method.diagonal, lambda a, b: float((a * b).sum())),
    ],
)
def test_approximations_are_their_slow_twins(x: np.ndarray, y: np.ndarray, method: Method, twin) -> None:
    g = gram(x, y, matcher=Matcher(method=method, batch=4, n_exact=3, tolerance=1e-8))
    expected = [[twin(a, b) for b in y] for a in x]
    np.testing.assert_allclose(g.inner, expected, rtol=1e-5, atol=1e-5)


def test_batches_longer_than_the_map_are_the_optimum(x: np.ndarray, y: np.ndarray) -> None:
    np.testing.assert_array_equal(gram(x, y, matcher=Matcher(method=Method.batch_optimal)).bound, gram(x, y).bound)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), s=st.integers(1, 20), c=st.integers(1, 6))
def test_shuffled_positions_leave_the_semantic_rsm_unchanged(seed: int, s: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 4, s, c)).astype(np.float32)
    shuffled = np.stack([image[rng.permutation(s)] for image in x])
    one, two = gram(x, y, matcher=FINE), gram(shuffled, y, matcher=FINE)
    np.testing.assert_allclose(one.inner, two.inner, rtol=1e-5, atol=1e-5 * s * c)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), invariance=st.sampled_from(list(Invariance)))
def test_a_rotation_of_the_channels_changes_no_inner_product(seed: int, invariance: Invariance) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3, 6, 5))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    one = gram(x, y, invariance=invariance, grid=(2, 3), matcher=FINE)
    two = gram(x @ rotation, y @ rotation, invariance=invariance, grid=(2, 3), matcher=FINE)
    np.testing.assert_allclose(one.inner, two.inner, rtol=1e-4, atol=1e-4)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 4), width=st.integers(1, 5))
def test_more_freedom_gives_more_similarity(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3, height * width, 3))
    none, translation, permutation = (gram(x, y, invariance=how, grid=(height, width)) for how in FREER)
    room = 1e-4 * np.abs(permutation.inner) + 1e-4
    assert (translation.inner >= none.inner - room).all()
    assert (permutation.bound >= translation.inner - room).all()
    assert (permutation.inner >= translation.inner - room - 1e-4 * permutation.bound).all()


def test_takes_float16_lists_of_slices_and_memory_maps(x: np.ndarray, y: np.ndarray, tmp_path) -> None:
    half = gram(x.astype(np.float16), y.astype(np.float16))
    np.testing.assert_allclose(half.inner, gram(x, y).inner, rtol=1e-2, atol=0.1)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(gram(mapped, y).inner, gram(x, y).inner)


def test_without_the_matrix(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng.normal(size=(2, 2, 70, 5)).astype(np.float32)
    greedy = Matcher(method=Method.topk_greedy, n_exact=9)
    expected, expected_greedy = gram(x, y), gram(x, y, matcher=greedy)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "MAX_MATRIX_BYTES", 0)
    np.testing.assert_allclose(gram(x, y).inner, expected.inner, rtol=2e-4)
    np.testing.assert_allclose(gram(x, y, matcher=greedy).inner, expected_greedy.inner, rtol=1e-5)


def test_a_finer_tolerance_than_float32_allows(x: np.ndarray, y: np.ndarray) -> None:
    g = gram(x, y, matcher=Matcher(tolerance=1e-9))
    assert (g.bound - g.inner <= 1e-9 * np.abs(g.inner) + 1e-9).all()


@pytest.mark.parametrize("method", [Method.optimal, Method.batch_optimal, Method.scipy])
def test_only_the_pairs_asked_for_are_computed(
    x: np.ndarray, y: np.ndarray, method: Method, rng: np.random.Generator, small_tiles: None
) -> None:
    chosen = [[4, 0, -1], [1, 2, 3], [-1, -1, -1], [-1, 2, 0], [3, 4, -1], [0, -1, -1]]
    lists = np.array(chosen)
    matcher = Matcher(method=method, batch=4)
    whole, some = gram(x, y, matcher=matcher), gram(x, y, matcher=matcher, pairs=lists)
    assert some.columns is not None
    assert some.columns.tolist() == [[*sorted(j for j in row if j >= 0), *(j for j in row if j < 0)] for row in chosen]
    rows, places = np.nonzero(some.columns >= 0)
    for part, of_all in ((some.inner, whole.inner), (some.bound, whole.bound)):
        np.testing.assert_allclose(part[rows, places], of_all[rows, some.columns[rows, places]], rtol=1e-5)
    assert not some.inner[some.columns < 0].any()
    np.testing.assert_array_equal(some.sq_y, whole.sq_y)
    shuffled = gram(x, y, matcher=matcher, pairs=lists[:, ::-1], threads=3)
    np.testing.assert_array_equal(shuffled.inner, some.inner)


@pytest.mark.parametrize("sigma_tile", [None, 2])
def test_kernels_of_listed_pairs_are_those_of_a_matrix_that_holds_no_others(
    x: np.ndarray, y: np.ndarray, sigma_tile: int | None, small_tiles: None
) -> None:
    lists = np.array([[0, 2, -1], [1, 3, 4], [-1, -1, -1], [2, 4, -1], [0, 1, 2], [3, -1, -1]])
    g = gram(x, y, pairs=lists)
    rows, places = np.nonzero(lists >= 0)
    whole = gram(x, y)
    inner = (whole.sq_x[:, None] + whole.sq_y) / 2  # of images that are the same: no median counts their distance
    inner[rows, lists[rows, places]] = g.inner[rows, places]
    for name in ("linear", "cosine", "rbf"):
        of_lists = kernel(g, name, sigma_tile=sigma_tile if name == "rbf" else None)
        of_matrix = kernel(replace(whole, inner=inner), name, sigma_tile=sigma_tile if name == "rbf" else None)
        np.testing.assert_array_equal(of_lists[rows, places], of_matrix[rows, lists[rows, places]])
        assert (of_lists[lists < 0] == -np.inf).all()


def test_lists_of_pairs_that_do_not_fit_are_refused(x: np.ndarray, y: np.ndarray) -> None:
    for lists, message in (
        (np.zeros((5, 2), int), r"lists of integers \[6, k\], got int64 \(5, 2\)"),
        (np.zeros((6, 2)), r"lists of integers \[6, k\], got float64"),
        (np.full((6, 1), 5), "from 0 to 4, or -1 for none, got 5 to 5"),
        (np.repeat([[3, 1, 3]], 6, axis=0), "row 0 names one again"),
    ):
        with pytest.raises(ValueError, match=message):
            gram(x, y, pairs=lists)
    with pytest.raises(ValueError, match="left out without y"):
        gram(x, pairs=np.zeros((6, 1), int))


@pytest.mark.usefixtures("small_tiles")
def test_goes_on_with_the_tiles_that_are_finished(x: np.ndarray) -> None:
    store, counted = Store(), []
    whole = gram(x, tiles=store, progress=counted.append)
    assert sum(counted) == 6 * 7 // 2
    assert store.finished == {(0, 0), (0, 2), (0, 4), (2, 2), (2, 4), (4, 4)}
    store.finished -= {(0, 2), (4, 4)}
    computed = []
    store.save = lambda tile, inner, bound: computed.append((tile.row, tile.col))
    again = gram(x, tiles=store, threads=2)
    np.testing.assert_array_equal(again.inner, whole.inner)
    np.testing.assert_array_equal(again.bound, whole.bound)
    assert sorted(computed) == [(0, 2), (4, 4)]


@pytest.mark.usefixtures("small_tiles")
def test_tiles_of_another_plan_are_computed_anew(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    gram(x, tiles=store)
    monkeypatch.setattr(plan_module, "_MAX_IMAGES", 3)
    np.testing.assert_array_equal(gram(x, tiles=store).inner, gram(x).inner)
    assert store.finished == {(0, 0), (0, 3), (3, 3)}


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("invariance", Invariance)
def test_a_gram_on_disk_has_the_same_rows(x: np.ndarray, y: np.ndarray, invariance: Invariance) -> None:
    for other in (None, y):
        held = gram(x, other, invariance=invariance, grid=(3, 3))
        counted: list[int] = []
        store = Store()
        kept = gram(x, other, invariance=invariance, grid=(3, 3), tiles=store, in_memory=False, progress=counted.append)
        assert kept.inner is store.inner
        assert sum(counted) == (21 if other is None else 30)
        for start, stop in ((0, 6), (0, 1), (1, 4), (3, 6)):
            for bounds in (True, False):
                one, two = held.rows(start, stop, bounds=bounds), kept.rows(start, stop, bounds=bounds)
                for name in ("inner", "bound", "sq_x", "sq_y"):
                    np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
                assert (one.bound >= one.inner).all()
            first = start if other is None else 0
            np.testing.assert_array_equal(one.inner, held.inner[start:stop, first:].astype(np.float32))
            np.testing.assert_array_equal(one.sq_x, held.sq_x[start:stop])
            np.testing.assert_array_equal(one.sq_y, held.sq_y[first:])


def test_pooled_is_the_inner_product_of_the_mean_vectors(x: np.ndarray, y: np.ndarray) -> None:
    g = gram(x, y, invariance="pooled")
    np.testing.assert_allclose(g.inner, x.mean(1) @ y.mean(1).T, rtol=1e-6)
    np.testing.assert_allclose(g.sq_x, (x.mean(1).astype(np.float64) ** 2).sum(1))
    np.testing.assert_array_equal(g.inner, g.bound)
    with pytest.raises(ValueError, match=r"x must be .*got \(2, 9\)"):
        gram(np.ones((2, 9)), invariance="pooled")


def test_every_kernel_from_one_matching(x: np.ndarray, y: np.ndarray) -> None:
    """As computed from the vectors themselves, permuted by SciPy."""
    g = gram(x, y, matcher=Matcher(tolerance=1e-8))
    for name in ("linear", "cosine", "rbf"):
        np.testing.assert_allclose(kernel(g, name, sigma=3.0), naive.semantic_rsm(x, y, name, 3.0), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("threads", [1, 2])
def test_names_the_sample_that_is_not_finite(x: np.ndarray, y: np.ndarray, bad: float, threads: int) -> None:
    y[3, 2, 1] = bad
    with pytest.raises(ValueError, match="sample 3"):
        gram(x, y, threads=threads)


def test_values_that_float32_loses_are_named(x: np.ndarray, y: np.ndarray, subtests: pytest.Subtests) -> None:
    for case, left, right, name in (
        ("float64", x.astype(np.float64) * 1e-23, None, "x"),
        ("float32", x * np.float32(1e-42), None, "x"),
        ("zeros in float32", x.astype(np.float64) * 1e-50, None, "x"),
        ("squares beyond float64", x.astype(np.float64) * 1e-200, None, "x"),
        ("y", x, y.astype(np.float64) * 1e-23, "y"),
    ):
        for invariance in Invariance:
            complaint = rf"{name} is too small .* value of sample 0 is \d\.\de-\d+,.*; multiply the representations"
            with subtests.test(case, invariance=invariance), pytest.raises(ValueError, match=complaint):
                gram(left, right, invariance=invariance, grid=(3, 3))


@pytest.mark.parametrize("scale", [1e-16, 1e15])
@pytest.mark.parametrize("invariance", Invariance)
def test_values_that_are_accepted_are_right(x: np.ndarray, invariance: Invariance, scale: float) -> None:
    one, other = (
        kernel(gram(given, invariance=invariance, grid=(3, 3), matcher=FINE), "cosine")
        for given in (x, x * np.float32(scale))
    )
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "settings", "message"),
    [
        (((2, 9, 4), (2, 8, 4)), {"invariance": "none"}, r"same positions and channels, got \(9, 4\) and \(8, 4\)"),
        (((2, 9, 4), (2, 9, 3)), {}, r"same channels, got \(9, 4\) and \(9, 3\)"),
        (((0, 9, 4), (2, 9, 4)), {}, r"x must be .* none of them 0, got \(0, 9, 4\)"),
        (((2, 9, 4), (2, 9)), {}, r"y must be .*got \(2, 9\)"),
        (((2, 9, 4), (2, 9, 4)), {"invariance": "translation"}, "the grid .* of the 9 positions, got grid=None"),
        (((2, 9, 4), (2, 9, 4)), {"invariance": "translation", "grid": (2, 4)}, r"got grid=\(2, 4\)"),
        (((2, 9, 4), (2, 9, 4)), {"in_memory": False}, "in_memory=False needs tiles"),
        (((2, 9, 4), (2, 9, 4)), {"threads": 0}, "threads must be at least 1, got 0"),
        (((2, 9, 4), (2, 9, 4)), {"memory_gib": 0}, "memory_gib must be above 0, got 0"),
        (((2, 9, 4), (2, 9, 4)), {"memory_gib": 1e-7}, "with 9 positions needs .* MiB, but only 0.0 MiB"),
        (((2, 9, 4), (2, 9, 4)), {"invariance": "rotation"}, "'rotation' is not a valid Invariance"),
    ],
)
def test_bad_input_is_named(shapes, settings, message: str) -> None:
    x, y = (np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        gram(x, y, **settings)
