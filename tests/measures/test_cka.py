"""HSIC and CKA of RSMs."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from semrsm_cli.measures.cka import cka, cka_matrix, hsic, minibatch_cka
from tests import naive

BOTH = pytest.mark.parametrize("unbiased", [False, True], ids=["biased", "unbiased"])
seeds = st.integers(0, 2**32 - 1)


def features(seed: int, n: int, channels: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels)) + 0.5


def symmetric(seed: int, n: int) -> np.ndarray:
    """An RSM that is not positive semi-definite."""
    noise = np.random.default_rng(seed).normal(size=(n, n))
    return noise + noise.T


def test_worked_example() -> None:
    # two images: H K H = (K_00 - K_01 - K_10 + K_11) / 4 [[1, -1], [-1, 1]], whose square has the trace 4
    K, L = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([[3.0, 1.0], [1.0, 5.0]])
    assert hsic(K, L) == pytest.approx(4 * (1 / 4) * (6 / 4))
    assert cka(K, L) == pytest.approx(1.0)
    assert cka(K, -L) == pytest.approx(-1.0)


@given(seeds, st.integers(2, 12))
def test_hsic_is_its_definition(seed: int, n: int) -> None:
    K, L = symmetric(seed, n), symmetric(seed + 1, n)
    assert hsic(K, L) == pytest.approx(naive.hsic(K, L), abs=1e-12)


@given(seeds, st.integers(4, 7))
def test_unbiased_hsic_is_its_u_statistic(seed: int, n: int) -> None:
    K, L = symmetric(seed, n), symmetric(seed + 1, n)
    assert hsic(K, L, unbiased=True) == pytest.approx(naive.unbiased_hsic(K, L), abs=1e-12)


@given(seeds, st.integers(4, 12))
def test_unbiased_hsic_is_song_s_formula(seed: int, n: int) -> None:
    K, L = (symmetric(seed + i, n) * (1 - np.eye(n)) for i in range(2))
    song = np.trace(K @ L) + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 * (K @ L).sum() / (n - 2)
    assert hsic(K, L, unbiased=True) == pytest.approx(song / (n * (n - 3)), abs=1e-11)


def test_linear_cka_is_the_feature_form(rng: np.random.Generator) -> None:
    # Kornblith et al. 2019, Eq. 13: ||Y^T X||^2 / (||X^T X|| ||Y^T Y||) of centered features
    X = rng.normal(3, 2, size=(60, 30))
    Y = X[:, :12] ** 2 + rng.normal(size=(60, 12))
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    norm = np.linalg.norm
    expected = norm(Yc.T @ Xc) ** 2 / (norm(Xc.T @ Xc) * norm(Yc.T @ Yc))
    assert cka(X @ X.T, Y @ Y.T) == pytest.approx(expected, abs=1e-10)


@BOTH
@given(seed=seeds, n=st.integers(4, 20))
def test_one_for_itself_whatever_scale_and_shift(unbiased: bool, seed: int, n: int) -> None:
    K = symmetric(seed, n)
    assert cka(K, K, unbiased=unbiased) == pytest.approx(1.0)
    assert cka(K, 3e-6 * K + 2, unbiased=unbiased) == pytest.approx(1.0)
    assert cka(K, -K, unbiased=unbiased) == pytest.approx(-1.0)


@BOTH
@given(seed=seeds, n=st.integers(5, 20), scale=st.floats(1e-3, 1e3))
def test_invariant_to_rotation_scale_and_order_of_images(unbiased: bool, seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    X, L = features(seed, n), symmetric(seed + 1, n)
    rotated = scale * X @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    order = rng.permutation(n)
    expected = cka(X @ X.T, L, unbiased=unbiased)
    assert cka(rotated @ rotated.T, L, unbiased=unbiased) == pytest.approx(expected, abs=1e-9)
    K = X[order] @ X[order].T
    assert cka(K, L[np.ix_(order, order)], unbiased=unbiased) == pytest.approx(expected, abs=1e-9)


@given(seeds, st.integers(2, 12))
def test_biased_cka_of_kernels_is_between_0_and_1(seed: int, n: int) -> None:
    X, Y = features(seed, n), features(seed + 1, n)
    assert -1e-12 <= cka(X @ X.T, Y @ Y.T) <= 1.0


def test_only_the_unbiased_estimator_is_zero_on_average_for_independent_data() -> None:
    def over_draws(unbiased: bool) -> np.ndarray:
        pairs = [(features(2 * i, 20), features(2 * i + 1, 20)) for i in range(200)]
        return np.array([cka(X @ X.T, Y @ Y.T, unbiased=unbiased) for X, Y in pairs])

    values = over_draws(unbiased=True)
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert over_draws(unbiased=False).mean() > 0.15


@BOTH
def test_all_layers_at_once(rng: np.random.Generator, unbiased: bool) -> None:
    a = np.stack([symmetric(i, 9) for i in range(3)])
    b = np.stack([symmetric(i + 10, 9) for i in range(2)])
    expected = [[cka(K, L, unbiased=unbiased) for L in b] for K in a]
    np.testing.assert_allclose(cka_matrix([(a, b)], unbiased=unbiased), expected, atol=1e-12)
    within = cka_matrix([(a, a)], unbiased=unbiased)
    np.testing.assert_allclose(within, within.T, atol=1e-15)
    np.testing.assert_allclose(within.diagonal(), 1.0)


@BOTH
def test_mini_batches_sum_hsic_before_the_ratio(unbiased: bool) -> None:
    pairs = [(symmetric(i, n), symmetric(i + 10, n)) for i, n in enumerate([6, 6, 9])]
    cross, of_k, of_l = np.sum(
        [[hsic(A, B, unbiased=unbiased) for A, B in ((K, L), (K, K), (L, L))] for K, L in pairs], axis=0
    )
    assert minibatch_cka(pairs, unbiased=unbiased) == pytest.approx(cross / np.sqrt(of_k * of_l))
    stacks = [(np.stack([K, L]), L[None]) for K, L in pairs]
    np.testing.assert_allclose(
        cka_matrix(stacks, unbiased=unbiased), [[minibatch_cka(pairs, unbiased=unbiased)], [1.0]]
    )


def test_mini_batches_come_near_the_whole(rng: np.random.Generator) -> None:
    X = rng.normal(size=(600, 10))
    Y = X @ rng.normal(size=(10, 10)) + rng.normal(size=(600, 10))
    batches = [(X[i : i + 50] @ X[i : i + 50].T, Y[i : i + 50] @ Y[i : i + 50].T) for i in range(0, 600, 50)]
    assert minibatch_cka(batches) == pytest.approx(cka(X @ X.T, Y @ Y.T, unbiased=True), abs=0.03)


@BOTH
def test_half_and_single_precision_are_summed_in_double(unbiased: bool) -> None:
    K, L = symmetric(0, 50), symmetric(1, 50)
    for dtype in (np.float16, np.float32):
        rounded = K.astype(dtype)
        assert cka(rounded, L, unbiased=unbiased) == cka(rounded.astype(np.float64), L, unbiased=unbiased)


@BOTH
def test_large_offset_loses_no_digits(unbiased: bool) -> None:
    K, L = symmetric(0, 30), symmetric(1, 30)
    assert cka(K + 2.0**20, L, unbiased=unbiased) == pytest.approx(cka(K, L, unbiased=unbiased), abs=1e-8)


@BOTH
@given(seed=seeds, n=st.integers(4, 30), value=st.floats(-1e6, 1e6))
def test_constant_layer_is_named_in_spite_of_rounding(unbiased: bool, seed: int, n: int, value: float) -> None:
    constant = np.full((n, n), value)
    stack = np.stack([symmetric(seed, n), constant])
    with pytest.raises(ValueError, match="RSM 1 of the second model is constant, so its HSIC is 0"):
        cka_matrix([(stack[:1], stack)], unbiased=unbiased)
    assert hsic(stack[0], constant, unbiased=unbiased) == 0.0


def test_layer_constant_in_one_batch_only_is_no_error() -> None:
    K, L = symmetric(0, 6), symmetric(1, 6)
    assert minibatch_cka([(K, L), (np.ones((6, 6)), L)]) == pytest.approx(
        hsic(K, L, unbiased=True) / np.sqrt(2 * hsic(K, K, unbiased=True) * hsic(L, L, unbiased=True))
    )


@given(seeds, st.integers(4, 12))
def test_hsic_with_itself_is_never_negative(seed: int, n: int) -> None:
    K = symmetric(seed, n)
    assume(np.ptp(K) > 0)
    assert hsic(K, K, unbiased=True) > 0


def test_refuses(subtests: pytest.Subtests) -> None:
    for K, L, unbiased, message in (
        (np.ones((1, 1)), np.ones((1, 1)), False, "the biased HSIC needs at least 2 images, got 1"),
        (symmetric(0, 3), symmetric(1, 3), True, "the unbiased HSIC needs at least 4 images, got 3"),
        (symmetric(0, 5), symmetric(1, 6), False, "must compare the same images, got 5 and 6"),
        (np.ones((3, 4)), np.ones((3, 4)), False, r"must be \[n, n\], got \[3, 4\]"),
        (np.ones(4), np.ones(4), False, r"must be \[n, n\], got \[4\]"),
        (np.arange(16.0).reshape(4, 4), symmetric(0, 4), False, r"must be symmetric, .* differ by 9"),
        (np.full((4, 4), np.nan), symmetric(0, 4), False, "RSM 0 holds NaN or infinity"),
    ):
        for measure in (hsic, cka):
            with subtests.test(message, measure=measure.__name__), pytest.raises(ValueError, match=message):
                measure(K, L, unbiased=unbiased)


def test_no_batches() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        minibatch_cka([])
