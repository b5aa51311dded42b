import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.matching import Method
from semrsm_cli.rsm import Invariance, Matcher
from semrsm_cli.rsm.matcher import PairMatcher
from semrsm_cli.rsm.plan import Plan


class Shape:
    """Representations of any size, which nobody reads."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


def semantic(method: Method = Method.optimal) -> PairMatcher:
    return PairMatcher(Invariance.permutation, Matcher(method=method))


@given(n=st.integers(1, 40), m=st.integers(1, 40), tile_size=st.integers(1, 9), symmetric=st.booleans())
def test_every_pair_is_in_one_tile(n: int, m: int, tile_size: int, symmetric: bool) -> None:
    m = n if symmetric else m
    counts = np.zeros((n, m), int)
    total = 0
    for tile in Plan(n, m, tile_size, 1, symmetric, 0, 1).tiles():
        counts[tile.row : tile.row + tile.shape[0], tile.col : tile.col + tile.shape[1]] += tile.mask()
        total += tile.n_pairs
    expected = np.triu(np.ones((n, m), int), 1) if symmetric else np.ones((n, m), int)
    np.testing.assert_array_equal(counts, expected)
    assert total == (n * (n + 1) // 2 if symmetric else n * m)


@pytest.mark.parametrize("method", [Method.optimal, Method.batch_optimal, Method.greedy])
@pytest.mark.parametrize(("s", "c"), [(49, 512), (256, 320), (1024, 112), (4096, 40), (16384, 24)])
def test_threads_stay_within_the_memory(s: int, c: int, method: Method) -> None:
    for gib, threads in itertools.product((1.5, 8), (1, 2, 16)):
        plan = Plan.of(Shape(2000, s, c), Shape(5000, s, c), semantic(method), threads, gib)
        assert plan.memory <= gib * 2**30
        assert 1 <= plan.threads <= threads


def test_the_tiles_do_not_depend_on_the_threads() -> None:
    shape = Shape(400, 256, 320)
    tile_sizes = {Plan.of(shape, None, semantic(), threads, gib).tile_size for threads in (1, 2, 64) for gib in (1, 4)}
    assert len(tile_sizes) == 1


def test_short_memory_makes_smaller_tiles() -> None:
    shape = Shape(400, 256, 320)
    assert Plan.of(shape, None, semantic(), 1, 0.02).tile_size < Plan.of(shape, None, semantic(), 1, 1).tile_size


def test_large_maps_make_pieces_of_one_pair() -> None:
    assert Plan.of(Shape(10, 65536, 16), None, semantic(), 1, 2).piece_size == 1


@given(
    n=st.integers(1, 40), m=st.integers(1, 40), tiles=st.integers(1, 4), size=st.integers(1, 5), symmetric=st.booleans()
)
def test_every_pair_of_a_tile_is_in_one_piece(n: int, m: int, tiles: int, size: int, symmetric: bool) -> None:
    m = n if symmetric else m
    counts = np.zeros((n, m), int)
    total = 0
    for tile in Plan(n, m, tiles * size, 1, symmetric, 0, size).tiles():
        for piece in tile.pieces(size):
            assert piece.row % size == piece.col % size == 0, "pieces lie where they do whatever the size of tiles"
            counts[piece.slices] += piece.mask()
            total += piece.n_pairs
    expected = np.triu(np.ones((n, m), int), 1) if symmetric else np.ones((n, m), int)
    np.testing.assert_array_equal(counts, expected)
    assert total == (n * (n + 1) // 2 if symmetric else n * m)


@pytest.mark.parametrize(
    ("s", "c", "n", "m"), [(4096, 256, 2000, 10_000), (4096, 256, 20_000, 20_000), (196, 1024, 20_000, 20_000)]
)
def test_a_large_run_has_at_most_a_hundred_thousand_tiles(s: int, c: int, n: int, m: int) -> None:
    plan = Plan.of(Shape(n, s, c), None if n == m else Shape(m, s, c), semantic(), 1, 4)
    assert sum(1 for _ in plan.tiles()) <= 1e5
