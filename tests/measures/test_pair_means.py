import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.measures.pair_means import pair_mean_interval
from tests import naive


def drawn(seed: int, n_images: int, n_pairs: int, of_images: float, of_pairs: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of random pairs: one share from each of the two images, one of the pair's own; their mean is 0."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(n_images), 2)))
    pairs = pairs[rng.permutation(len(pairs))[:n_pairs]]
    images = of_images * rng.normal(size=n_images)
    return images[pairs].sum(axis=1) + of_pairs * rng.normal(size=len(pairs)), pairs


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n_images=st.integers(4, 9), n_pairs=st.integers(3, 36))
def test_is_that_of_the_definition(seed: int, n_images: int, n_pairs: int) -> None:
    values, pairs = drawn(seed, n_images, n_pairs, 1.0, 0.5)
    np.testing.assert_allclose(pair_mean_interval(values, pairs), naive.pair_mean_interval(values, pairs))


@given(seed=st.integers(0, 2**32 - 1))
def test_neither_order_nor_names_matter(seed: int) -> None:
    values, pairs = drawn(seed, 7, 15, 1.0, 0.5)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    renamed = rng.permutation(100)[pairs][order][:, ::-1]
    np.testing.assert_allclose(pair_mean_interval(values[order], renamed), pair_mean_interval(values, pairs))


def test_pairs_of_the_same_images_tell_less_than_independent_ones() -> None:
    values, pairs = drawn(0, 40, 780, 1.0, 0.1)
    low, high = pair_mean_interval(values, pairs)
    assert high - low > 3 * 2 * 1.96 * values.std() / np.sqrt(len(values))


def test_two_pairs_apart_are_needed() -> None:
    assert np.isnan(pair_mean_interval(np.arange(3.0), np.array([[0, 1], [0, 2], [1, 2]]))).all()
    assert np.isnan(pair_mean_interval(np.ones(1), np.array([[0, 1]]))).all()
    assert np.isfinite(pair_mean_interval(np.arange(2.0), np.array([[0, 1], [2, 3]]))).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "n_pairs"), [(8, 28), (50, 200), (50, 1225)])
@pytest.mark.parametrize(("of_images", "of_pairs"), [(1.0, 0.0), (1.0, 1.0), (1.0, 4.0)])
def test_covers_as_often_as_it_says(n_images: int, n_pairs: int, of_images: float, of_pairs: float) -> None:
    intervals = [pair_mean_interval(*drawn(seed, n_images, n_pairs, of_images, of_pairs)) for seed in range(2000)]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.98
