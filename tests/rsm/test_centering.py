import numpy as np
import pytest

from semrsm_cli.rsm import Centered, Invariance, Pooled, compute_center, gram, rsm
from semrsm_cli.rsm import centering as centering_module


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(10, 4, 3)).astype(np.float32) + 100


def test_means(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centering_module, "CHUNK_BYTES", 300)  # three images at a time
    np.testing.assert_allclose(compute_center(x, "sample"), x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(compute_center(x, "channel"), x.mean((0, 1))[None], rtol=1e-6)
    assert compute_center(x, "none") is None


@pytest.mark.parametrize("how", ["sample", "channel", "none"])
def test_centered_reads_slices(x: np.ndarray, how: str) -> None:
    center = compute_center(x, how)
    view = Centered(x, center)
    expected = x - center if center is not None else x
    assert view.shape == x.shape
    assert len(view) == 10
    np.testing.assert_array_equal(view[2:5], expected[2:5])
    np.testing.assert_array_equal(np.asarray(view[0:10]), expected)


def test_centered_float16_is_subtracted_in_float32(x: np.ndarray) -> None:
    view = Centered(x.astype(np.float16), compute_center(x, "sample"))
    assert view.dtype == np.float32
    assert view[0:2].dtype == np.float32


def test_no_images() -> None:
    with pytest.raises(ValueError, match=r"mean of no images, got shape \(0, 4, 3\)"):
        compute_center(np.zeros((0, 4, 3)), "sample")


def test_pooled_reads_slices(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centering_module, "CHUNK_BYTES", 300)  # three images at a time
    centered = Centered(x, compute_center(x, "sample"))
    view = Pooled(centered)
    assert view.shape == (10, 1, 3)
    assert len(view) == 10
    np.testing.assert_array_equal(view[1:9], centered[1:9].mean(1, keepdims=True))
    assert Pooled(x.astype(np.float16))[3:4].dtype == view.dtype == np.float32


def test_the_mean_has_the_digits_of_the_images(x: np.ndarray, subtests: pytest.Subtests) -> None:
    """float64 far from zero keeps what it is centred to; of narrower types the mean is what it always was."""
    small = x.astype(np.float64) - 100
    for how in ("sample", "channel"):
        for invariance in (Invariance.none, Invariance.permutation, Invariance.pooled):
            with subtests.test("offset", how=how, invariance=invariance):
                near, far = (Centered(given, compute_center(given, how)) for given in (small, small + 1e8))
                np.testing.assert_allclose(
                    rsm(far, invariance=invariance, centering="none"),
                    rsm(near, invariance=invariance, centering="none"),
                    atol=1e-5,
                )
        for dtype in (np.float16, np.float32, np.uint8):
            with subtests.test("narrow", how=how, dtype=dtype):
                given = x.astype(dtype)
                total = given.sum(axis=0, dtype=np.float64)
                mean = (total.sum(axis=0, keepdims=True) / 40 if how == "channel" else total / 10).astype(np.float32)
                center = compute_center(given, how)
                assert center is not None
                assert center.dtype == np.float32
                np.testing.assert_array_equal(center, mean)


def test_centring_that_leaves_nothing_is_named(x: np.ndarray, subtests: pytest.Subtests) -> None:
    one, same = x[:1], np.repeat(x[:1], 7, axis=0)
    flat = np.full((7, 4, 3), 0.1)
    for case, given, how in (
        ("one image", one, "sample"),
        ("one image of float64", one.astype(np.float64) / 3, "sample"),
        ("equal images", same, "sample"),
        ("equal images of float64", same.astype(np.float64) / 3, "sample"),
        ("a constant", flat, "sample"),
        ("a constant by channel", flat, "channel"),
        ("a constant of float32 by channel", flat.astype(np.float32), "channel"),
    ):
        centered = Centered(given, compute_center(given, how))
        for invariance in (Invariance.none, Invariance.permutation, Invariance.pooled):
            with subtests.test(case, invariance=invariance):
                complaint = rf"leaves nothing of x \[{len(given)}, 4, 3\].*; use centering=none, or images that differ$"
                with pytest.raises(ValueError, match=complaint):
                    gram(centered, invariance=invariance)
                with pytest.raises(ValueError, match="leaves nothing of y"):
                    gram(x, centered, invariance=invariance)
                gram(given, invariance=invariance)  # as it is, it can be compared
                gram(Centered(given, None), invariance=invariance)
    some = np.concatenate([same, x])
    gram(Centered(some, compute_center(same, "sample")))  # something is left of the others


def test_an_image_that_is_the_mean_is_not_too_small() -> None:
    """What rounding leaves of it counts as nothing."""
    given = np.array([0.1, 0.2, 0.3])[:, None, None] * 1e-3
    values = rsm(Centered(given, compute_center(given, "sample")), centering="none")
    np.testing.assert_allclose(values[[0, 2]][:, [0, 2]], [[1, -1], [-1, 1]], rtol=1e-6)
