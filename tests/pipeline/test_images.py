"""Several draws of a set of images."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.data import ImageOrder, Images
from semrsm_cli.measures.cka import cka
from semrsm_cli.pipeline.images import draw_apart

seeds = st.integers(0, 2**32 - 1)


def numbered(n: int) -> Images:
    ids = tuple(f"{i:04}" for i in range(n))
    return Images("numbers", ids, ids, reader=None)  # type: ignore[arg-type]


@given(n_all=st.integers(2, 40), n=st.integers(1, 40), n_draws=st.integers(1, 6), seed=seeds)
def test_draws_share_images_only_where_there_are_too_few(n_all: int, n: int, n_draws: int, seed: int) -> None:
    images, n = numbered(n_all), min(n, n_all)
    for order in ImageOrder:
        draws = draw_apart(images, n, n_draws, seed, order)
        assert draws[0] == images.draw(n, seed, order)
        assert len(draws) == (1 if n == n_all else n_draws)
        assert all(len(set(draw.ids)) == n for draw in draws)
        assert len(set().union(*(draw.ids for draw in draws))) == min(n_all, n * len(draws))
        assert draw_apart(images, n, 1, seed, order) == draws[:1], "more draws change no earlier one"
        if order is ImageOrder.files:
            assert all(list(draw.ids) == sorted(draw.ids) for draw in draws)


def test_images_that_are_taken_again_are_a_random_choice() -> None:
    images, n_draws = numbered(30), 400
    taken = np.zeros(30)
    for seed in range(n_draws):
        taken[list(map(int, draw_apart(images, 20, 2, seed, ImageOrder.files)[1].ids))] += 1
    share = taken / n_draws
    assert np.abs(share - 2 / 3).max() < 4 * np.sqrt(2 / 9 / n_draws)


def test_the_spread_over_draws_is_that_between_sets_of_other_images() -> None:
    """Many sets of 60 images from one population: within each, three draws of 20; between them, one draw of 20."""
    rng = np.random.default_rng(0)
    first, spread, weights = [], [], rng.normal(size=(6, 6)) ** 3
    for seed in range(300):
        x = rng.normal(size=(60, 6))
        y = x @ weights + 2 * rng.normal(size=(60, 6))
        draws = [list(map(int, draw.ids)) for draw in draw_apart(numbered(60), 20, 3, seed, ImageOrder.drawn)]
        values = [cka(x[rows] @ x[rows].T, y[rows] @ y[rows].T) for rows in draws]
        first.append(values[0])
        spread.append(np.var(values, ddof=1))
    assert 0.8 < np.mean(spread) / np.var(first, ddof=1) < 1.25
