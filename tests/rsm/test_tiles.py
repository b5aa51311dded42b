import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.matching import Method
from semrsm_cli.rsm.pairs import Invariance, Rule
from semrsm_cli.rsm.tiles import Plan


class Shape:
    """Representations of any size, which nobody reads."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


def rule(matching: Method = Method.optimal, batch: int = 512) -> Rule:
    return Rule(Invariance.permutation, matching, 1e-4, batch, 128, None)


@given(n=st.integers(1, 40), m=st.integers(1, 40), edge=st.integers(1, 9), symmetric=st.booleans())
def test_every_pair_is_in_one_tile(n: int, m: int, edge: int, symmetric: bool) -> None:
    m = n if symmetric else m
    counts = np.zeros((n, m), int)
    total = 0
    for tile in Plan(n, m, edge, 1, symmetric, 0).tiles():
        counts[tile.row : tile.row + tile.shape[0], tile.col : tile.col + tile.shape[1]] += tile.wanted()
        total += tile.n_pairs
    expected = np.triu(np.ones((n, m), int), 1) if symmetric else np.ones((n, m), int)
    np.testing.assert_array_equal(counts, expected)
    assert total == (n * (n + 1) // 2 if symmetric else n * m)


@pytest.mark.parametrize("matching", [Method.optimal, Method.batch_optimal, Method.greedy])
@pytest.mark.parametrize(("s", "c"), [(49, 512), (256, 320), (1024, 112), (4096, 40), (16384, 24)])
def test_workers_stay_within_the_memory(s: int, c: int, matching: Method) -> None:
    for gib, workers in itertools.product((1.5, 8), (1, 2, 16)):
        if matching is Method.greedy and s == 16384 and gib < 8:
            continue  # cannot be done
        plan = Plan.of(Shape(2000, s, c), Shape(5000, s, c), rule(matching), workers, gib)
        assert plan.memory <= gib * 2**30
        assert 1 <= plan.workers <= workers


def test_the_tiles_do_not_depend_on_the_workers() -> None:
    shape = Shape(400, 256, 320)
    edges = {Plan.of(shape, None, rule(), workers, gib).edge for workers in (1, 2, 64) for gib in (1, 4)}
    assert len(edges) == 1


def test_short_memory_makes_smaller_tiles() -> None:
    shape = Shape(400, 256, 320)
    assert Plan.of(shape, None, rule(), 1, 0.02).edge < Plan.of(shape, None, rule(), 1, 1).edge


def test_large_maps_make_tiles_of_one_pair() -> None:
    assert Plan.of(Shape(10, 65536, 16), None, rule(), 1, 2).edge == 1
