"""Jensen-Shannon divergence of class probabilities."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from scipy.spatial.distance import jensenshannon

from semrsm_cli.measures.divergence import _TILE, jensen_shannon, softmax
from tests import naive

LOG_2 = np.log(2)


def scipy_divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # SciPy gives NaN where rounding makes the divergence of equals negative
        return np.nan_to_num(jensenshannon(p[:, None], q[None], axis=-1) ** 2, nan=0.0)


def adversarial(n_classes: int) -> np.ndarray:
    """One-hot, uniform, half-empty, underflowing, nearly equal and denormal probabilities."""
    one_hot = np.eye(n_classes)[[0, 1, 1, -1]]
    uniform = np.full((1, n_classes), 1 / n_classes)
    half = np.repeat([[2.0, 0.0]], n_classes // 2, axis=0).reshape(1, -1) / n_classes
    logits = np.zeros((5, n_classes))
    logits[0, 0], logits[1, 0], logits[2, 0], logits[3, 0], logits[4, :3] = 800, 740, 30, 1e-9, -745
    return np.concatenate([one_hot, uniform, half, softmax(logits)])


def test_worked_example() -> None:
    # M = (3/4, 1/4): KL(P || M) = log 4/3, KL(Q || M) = 1/2 log 2/3 + 1/2 log 2
    expected = (np.log(4 / 3) + (np.log(2 / 3) + np.log(2)) / 2) / 2
    assert jensen_shannon([[1.0, 0.0]], [[0.5, 0.5]])[0, 0] == pytest.approx(expected, abs=1e-14)


def test_disjoint_is_log_2_and_equal_is_0() -> None:
    p = np.eye(3)
    np.testing.assert_array_equal(jensen_shannon(p), LOG_2 * (1 - p))


@given(
    arrays(np.float64, (2, 5), elements=st.just(0.0) | st.floats(1e-290, 1)).filter(
        lambda weights: (weights.sum(axis=1) > 1e-3).all()
    )
)
def test_is_its_definition(weights: np.ndarray) -> None:
    p, q = weights / weights.sum(axis=1, keepdims=True)
    assert jensen_shannon(p[None], q[None])[0, 0] == pytest.approx(naive.jensen_shannon(p, q), abs=1e-13)


def test_equals_scipy_on_adversarial_distributions() -> None:
    for n_classes in (2, 10, 1000):
        p = adversarial(n_classes)
        np.testing.assert_allclose(
            jensen_shannon(p), scipy_divergence(p, p), atol=1e-12, err_msg=f"{n_classes} classes"
        )


def test_equals_scipy_on_random_logits(rng: np.random.Generator) -> None:
    for scale in (0.01, 3, 100):
        p, q = (softmax(scale * rng.normal(size=(n, 50))) for n in (30, 20))
        np.testing.assert_allclose(jensen_shannon(p, q), scipy_divergence(p, q), atol=1e-12, err_msg=f"scale {scale}")


@pytest.mark.parametrize("n", [1, _TILE - 1, _TILE, _TILE + 1, 2 * _TILE + 3])
def test_half_of_the_pairs_give_the_whole(rng: np.random.Generator, n: int) -> None:
    p = softmax(rng.normal(size=(n, 7)))
    divergence = jensen_shannon(p)
    np.testing.assert_array_equal(divergence, jensen_shannon(p, p))
    np.testing.assert_array_equal(divergence, divergence.T)
    np.testing.assert_array_equal(divergence.diagonal(), 0.0)
    np.testing.assert_array_equal(divergence, jensen_shannon(p, threads=1))


@given(arrays(np.float64, (6, 4), elements=st.floats(-800, 800)))
def test_bounds_and_order_of_classes(logits: np.ndarray) -> None:
    divergence = jensen_shannon(softmax(logits))
    assert np.all((divergence >= 0) & (divergence <= LOG_2 + 1e-15))
    np.testing.assert_allclose(jensen_shannon(softmax(logits[:, ::-1])), divergence, atol=1e-14)


def test_writes_into_a_memory_map(rng: np.random.Generator, tmp_path: Path) -> None:
    p = softmax(rng.normal(size=(_TILE + 5, 10)))
    out = np.lib.format.open_memmap(tmp_path / "jsd.npy", mode="w+", dtype=np.float32, shape=(_TILE + 5, _TILE + 5))
    assert jensen_shannon(p, out=out) is out
    np.testing.assert_allclose(out, jensen_shannon(p), rtol=1e-6, atol=0)


def test_half_precision_probabilities_are_normalised(rng: np.random.Generator) -> None:
    p = softmax(rng.normal(size=(4, 100))).astype(np.float16)
    exact = p.astype(np.float64)
    np.testing.assert_allclose(jensen_shannon(p), scipy_divergence(exact, exact), atol=1e-12)


def test_refuses(subtests: pytest.Subtests) -> None:
    for p, q, message in (
        ([[0.5, 0.5]], [[0.2, 0.3, 0.5]], "same classes, got 2 and 3"),
        ([0.5, 0.5], None, r"p must be \[images, classes\], got shape \(2,\)"),
        ([[0.5, 0.5], [3.0, -2.0]], None, "image 1 has sum 1 and minimum -2"),
        ([[0.5, 0.5]], [[2.0, 3.0]], "q must hold probabilities .* image 0 has sum 5 .* need a softmax first"),
        ([[0.5, np.nan]], None, "image 0 has sum nan"),
        (np.empty((2, 0)), None, "image 0 has sum 0"),
    ):
        with subtests.test(message), pytest.raises(ValueError, match=message):
            jensen_shannon(p, q)


def test_refuses_another_shape_to_write_into() -> None:
    with pytest.raises(ValueError, match=r"out must be \[2, 2\], got \[2, 3\]"):
        jensen_shannon(np.eye(2), out=np.empty((2, 3)))


def test_softmax_is_in_double_precision() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [-900.0, 0.0, 900.0]], dtype=np.float32)
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, special.softmax(logits.astype(np.float64), axis=1), rtol=1e-15)
    np.testing.assert_array_equal(probabilities[1], [0.0, 0.0, 1.0])


def test_softmax_names_broken_logits(subtests: pytest.Subtests) -> None:
    for value in (np.nan, np.inf, -np.inf):
        logits = np.zeros((4, 3))
        logits[2:, 1] = value
        message = "logits of 2 images hold NaN or infinity, image 2 first"
        with subtests.test(value=value), pytest.raises(ValueError, match=message):
            softmax(logits)


def test_softmax_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"logits must be \[n, classes\], got shape \(3,\)"):
        softmax(np.zeros(3))
