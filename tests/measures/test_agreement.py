"""Correlation of two similarities over all pairs of images."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from semrsm_cli.measures.agreement import (
    correlation_interval,
    pearson,
    permutation_test,
    ranks,
    resample_correlation,
    spearman,
)
from semrsm_cli.measures.moments import Draws, weighted_sums
from semrsm_cli.measures.resampling import group_codes
from tests import naive

N = 80
TRANSFORMED = {
    "normal": lambda a: a,
    "ties": np.round,
    "two values": np.sign,
    "offset": lambda a: a + 1e8,
    "tiny": lambda a: 1e-150 * a,
    "heavy tails": lambda a: np.exp(10 * a),
    "single precision": lambda a: a.astype(np.float32),
    "half precision": lambda a: a.astype(np.float16),
    "one outlier": lambda a: np.where(a == a[0, -1], 1e9, a),
}
MEASURES = {"pearson": (pearson, stats.pearsonr), "spearman": (spearman, stats.spearmanr)}


def above(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]


def related(rng: np.random.Generator, n: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two equally good similarities and what they shall agree with; images differ, so their pairs are dependent."""
    image = rng.normal(size=(n, 4))
    target = image * rng.gamma(2, size=(n, 1)) / 2
    noisy = [image + level * rng.normal(size=(n, 4)) for level in (noise, 1.0)]
    return noisy[0] @ noisy[0].T, noisy[1] @ noisy[1].T, -target @ target.T


def test_worked_example() -> None:
    # the pairs (0, 1), (0, 2), (1, 2): x = 1, 2, 3 and y = 1, 3, 2
    x, y = np.zeros((3, 3)), np.zeros((3, 3))
    x[np.triu_indices(3, 1)] = [1.0, 2.0, 3.0]
    y[np.triu_indices(3, 1)] = [1.0, 3.0, 2.0]
    assert pearson(x, y) == pytest.approx(0.5)
    assert spearman(x, y**3) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", MEASURES)
def test_equals_scipy(rng: np.random.Generator, measure: str, subtests: pytest.Subtests) -> None:
    ours, scipys = MEASURES[measure]
    noise = rng.normal(size=(N, N))
    other = noise + rng.normal(size=(N, N))
    for of_x, of_y in product(TRANSFORMED, ("normal", "ties", "heavy tails")):
        with subtests.test(of_x=of_x, of_y=of_y):
            x, y = TRANSFORMED[of_x](noise), TRANSFORMED[of_y](other)
            expected = scipys(above(x).astype(np.float64), above(y).astype(np.float64)).statistic
            assert ours(x, y) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
@given(data=st.data(), n=st.integers(3, 8), rows_at_once=st.integers(1, 9))
def test_blocks_of_any_size(measure: str, data: st.DataObject, n: int, rows_at_once: int) -> None:
    x, y = (data.draw(arrays(np.float64, (n, n), elements=st.integers(-3, 3).map(float))) for _ in range(2))
    assume(np.ptp(above(x)) > 0 and np.ptp(above(y)) > 0)
    ours, scipys = MEASURES[measure]
    assert ours(x, y, rows_at_once=rows_at_once) == pytest.approx(scipys(above(x), above(y)).statistic, abs=1e-12)


def test_blocks_lose_no_digits(rng: np.random.Generator, subtests: pytest.Subtests) -> None:
    x, y = related(rng, N)[1:]
    far = x + 2.0**30
    for rows_at_once in (1, 7, 64, None):
        with subtests.test(rows_at_once=rows_at_once):
            for measure in (pearson, spearman):
                assert measure(far, y, rows_at_once=rows_at_once) == pytest.approx(measure(far, y), abs=1e-13)
            for groups in (None, [i // 3 for i in range(N)]):
                of_blocks = resample_correlation(x, y, groups=groups, n_resamples=20, rows_at_once=rows_at_once)
                whole = resample_correlation(x, y, groups=groups, n_resamples=20)
                np.testing.assert_allclose(of_blocks, whole, atol=1e-12)


def test_only_pairs_above_the_diagonal_count(rng: np.random.Generator) -> None:
    x, y = related(rng, 20)[1:]
    expected = pearson(x, y), spearman(x, y), correlation_interval(x, y), permutation_test(x, y, y)
    x[np.tril_indices(20)] = np.nan
    y[np.tril_indices(20)] = np.nan
    assert (pearson(x, y), spearman(x, y), correlation_interval(x, y), permutation_test(x, y, y)) == expected


def test_memory_maps_and_zarr_arrays(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = related(rng, 20)[1:]
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "y.zarr", data=y, chunks=(7, 7))
    for measure in (pearson, spearman, resample_correlation):
        assert measure(mapped, stored, rows_at_once=3) == pytest.approx(measure(x, y), abs=1e-12)


RANK = pytest.mark.parametrize("rank", [np.asarray, ranks], ids=["pearson", "spearman"])
GROUPS = ["b", "a", "a", "c", "b", "d", "e", "e", "e"]


@RANK
def test_interval_resamples_images(rng: np.random.Generator, rank) -> None:
    x, y = related(rng, 9)[1:]
    of_x, of_y = rank(x), rank(y)
    draws = np.random.default_rng(3).multinomial(9, np.full(9, 1 / 9), size=50)
    images = [np.repeat(np.arange(9), multiplicity).tolist() for multiplicity in draws]
    expected = np.quantile([naive.resampled_correlation(of_x[:], of_y[:], drawn) for drawn in images], [0.05, 0.95])
    interval = correlation_interval(of_x, of_y, level=0.9, n_resamples=50, seed=3)
    np.testing.assert_allclose(interval, expected, atol=1e-12)


@RANK
def test_interval_resamples_whole_groups(rng: np.random.Generator, rank) -> None:
    x, y = (rank(matrix)[:] for matrix in related(rng, 9)[1:])
    draws = np.random.default_rng(3).multinomial(5, np.full(5, 1 / 5), size=50)
    drawn = [np.repeat(["b", "a", "c", "d", "e"], multiplicity).tolist() for multiplicity in draws]
    expected = [naive.resampled_correlation(x, y, names, GROUPS) for names in drawn]
    found = resample_correlation(x, y, groups=GROUPS, n_resamples=50, seed=3)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_image_that_stands_alone_is_a_group_of_one(rng: np.random.Generator) -> None:
    x, baseline, y = related(rng, 20)
    groups = [f"photograph {i}" for i in range(20)]
    np.testing.assert_array_equal(resample_correlation(x, y, groups=groups), resample_correlation(x, y))
    assert permutation_test(x, baseline, y, groups=groups) == permutation_test(x, baseline, y)


def test_names_of_groups_do_not_matter(rng: np.random.Generator) -> None:
    x, baseline, y = related(rng, 9)
    renamed = [{"a": 7, "b": "z", "c": None, "d": (1, 2), "e": "A"}[group] for group in GROUPS]
    assert correlation_interval(x, y, groups=GROUPS) == correlation_interval(x, y, groups=renamed)
    assert permutation_test(x, baseline, y, groups=GROUPS) == permutation_test(x, baseline, y, groups=renamed)


def test_pairs_between_and_within_groups_keep_their_share() -> None:
    groups = np.repeat(np.arange(6), 4)
    within = 1.0 * (groups[:, None] == groups)
    weights = np.random.default_rng(1).multinomial(6, np.full(6, 1 / 6), size=4000).T.astype(float)
    for count, mean in ((1 - 1 / 6, 0.0), (1.0, 0.06)):  # x is standardised by all pairs of the sample
        n_pairs, sum_of_x = weighted_sums(within, within, Draws(groups, weights, np.full(4000, count)), ("x", "y"))[:2]
        assert sum_of_x.mean() / n_pairs.mean() == pytest.approx(mean, abs=0.02), count


@RANK
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["images", "groups"])
def test_permutations_exchange_images(rng: np.random.Generator, rank, groups: list[str] | None) -> None:
    x, baseline, y = (rank(matrix) for matrix in related(rng, 9))
    of_image = group_codes(groups or range(9))
    kept = (np.random.default_rng(3).random((of_image.max() + 1, 60)) < 0.5).T[:, of_image]
    observed = pearson(x, y) - pearson(baseline, y)
    permuted = np.array([naive.exchanged_difference(x[:], baseline[:], y[:], half, groups) for half in kept])
    expected = (1 + np.count_nonzero(np.abs(permuted) >= abs(observed))) / 61
    result = permutation_test(x, baseline, y, groups=groups, n_permutations=60, seed=3)
    assert result.difference == pytest.approx(observed, abs=1e-12)
    assert result.p_value == pytest.approx(expected)


def test_permutation_test_knows_neither_scale_nor_order(rng: np.random.Generator) -> None:
    x, baseline, y = related(rng, 25)
    difference, p_value = permutation_test(x, baseline, y)
    assert permutation_test(50 + 3 * x, baseline, y) == pytest.approx((difference, p_value))
    assert permutation_test(baseline, x, y) == pytest.approx((-difference, p_value))


def test_permutation_test_sees_a_large_difference_and_no_difference(rng: np.random.Generator) -> None:
    x, baseline, y = related(rng, 100, noise=0.1)
    assert permutation_test(-y, baseline, y).p_value == pytest.approx(1 / 1001)
    assert permutation_test(x, x, y) == (0.0, 1.0)


def test_seeds_repeat(rng: np.random.Generator) -> None:
    x, baseline, y = related(rng, 20)
    assert correlation_interval(x, y, seed=1) == correlation_interval(x, y, seed=1) != correlation_interval(x, y)
    assert permutation_test(x, baseline, y, seed=1) == permutation_test(x, baseline, y, seed=1)


NOISE = np.random.default_rng(0).normal(size=(6, 6))


def test_refuses(subtests: pytest.Subtests) -> None:
    for x, message in (
        (np.ones((6, 6)), r"x is constant \(1\) over all 15 pairs"),
        (1 + 1e-15 * NOISE, r"x is constant \(1\) over all 15 pairs"),
        ((1 + 1e-7 * NOISE).astype(np.float32), r"x is constant \(1\) over all 15 pairs"),
        (np.zeros((6, 6)), r"x is constant \(0\)"),
        (np.where(NOISE[2, 4] == NOISE, np.nan, NOISE), "x holds NaN or infinity, for images 2 and 4 first"),
        (NOISE[:5, :5], r"square matrices of the same images, got x \[5, 5\] and"),
        (NOISE[:5], r"got x \[5, 6\] and"),
    ):
        for measure in (pearson, correlation_interval, lambda x, y: permutation_test(x, y, y)):
            with subtests.test(message, measure=measure.__name__), pytest.raises(ValueError, match=message):
                measure(x, NOISE)


def test_spearman_refuses_too() -> None:
    with pytest.raises(ValueError, match=r"x is constant \(8\) over all 15 pairs"):
        spearman(np.ones((6, 6)), NOISE)
    with pytest.raises(ValueError, match="NaN or infinity"):
        spearman(np.full((6, 6), np.nan), NOISE)


def test_refuses_few_images() -> None:
    for n, measure in product((1, 2), (pearson, spearman, correlation_interval)):
        with pytest.raises(ValueError, match=f"at least 3 images, got {n}"):
            measure(np.eye(n), np.eye(n))


def test_refuses_to_resample_what_has_no_correlation() -> None:
    # one pair differs from all others: only resamples that hold both of its images have a correlation
    x = np.zeros((6, 6))
    x[0, 1] = 1.0
    with pytest.raises(ValueError, match="of 1000 resamples have a value; give more images, or n_resamples=0"):
        correlation_interval(x, NOISE)


def test_refuses_groups_that_do_not_fit(subtests: pytest.Subtests) -> None:
    measures = (correlation_interval, lambda x, y, groups: permutation_test(x, x, y, groups=groups))
    for groups, message in (
        ("aab", "groups must be of the same images, got 3 for 6 images"),
        ("aaaaaa", "groups must be two at least, got one of all 6 images"),
    ):
        for measure in measures:
            with subtests.test(message), pytest.raises(ValueError, match=message):
                measure(NOISE, NOISE.T, groups=groups)
