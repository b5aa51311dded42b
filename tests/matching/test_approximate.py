import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import Method, match
from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.matching.scans import _PLAIN
from tests import naive

BY_NORM = [Method.batch_optimal, Method.topk_greedy, Method.greedy]


def images(rng: np.random.Generator, s: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.maximum(rng.normal(size=(2, s, c)), -0.5).astype(np.float32))


@settings(max_examples=40)
@given(s=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), method=st.sampled_from([*BY_NORM, Method.diagonal]))
def test_never_beats_the_optimum_nor_exceeds_its_bound(s: int, seed: int, method: Method) -> None:
    x, y = images(np.random.default_rng(seed), s, 6)
    affinity = x @ y.T
    optimum = naive.optimum(affinity)
    for given_affinity in (affinity, None):
        found = match(given_affinity, method=method, batch=13, n_exact=5, x=x, y=y)
        assert sorted(found.col_of_row) == list(range(s))
        assert found.value == pytest.approx(affinity[np.arange(s), found.col_of_row].sum(), rel=1e-5, abs=1e-4)
        assert found.value <= optimum + 1e-4
        assert found.bound >= optimum - 1e-4


@pytest.mark.parametrize(("s", "batch"), [(24, 8), (23, 8), (40, 7), (600, 599)])
def test_batch_optimal_matches_sorted_batches(s: int, batch: int, rng: np.random.Generator) -> None:
    x, y = images(rng, s, 8)
    found = match(x @ y.T, method="batch_optimal", batch=batch, x=x, y=y, tolerance=1e-7)
    assert found.value == pytest.approx(naive.batch_optimal(x, y, batch), rel=1e-6)


def test_a_ragged_last_batch_holds_the_largest_norms() -> None:
    x = np.diag(np.arange(1.0, 6.0))
    found = match(None, method="batch_optimal", batch=4, x=x[::-1].copy(), y=x)
    assert found.col_of_row[0] == 4  # the largest norms are left over, and meet each other
    assert found.value == 1 + 4 + 9 + 16 + 25


def test_one_batch_is_the_optimum(rng: np.random.Generator) -> None:
    x, y = images(rng, 30, 8)
    assert match(None, method="batch_optimal", batch=30, x=x, y=y).bound == match(x @ y.T).bound


@pytest.mark.parametrize("k", [1, 5, 17, 30, 99])
def test_topk_greedy(k: int, rng: np.random.Generator) -> None:
    x, y = images(rng, 30, 8)
    for affinity in (x @ y.T, None):
        found = match(affinity, method="topk_greedy", n_exact=k, x=x, y=y, tolerance=1e-7)
        assert found.value == pytest.approx(naive.topk_greedy(x, y, k), rel=1e-5)


def test_greedy(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(rng, 45, 8)
    monkeypatch.setattr(affinities_module, "MAX_MATRIX_BYTES", 0)
    for affinity in (x @ y.T, None):  # computed row by row, where it is not given
        found = match(affinity, method="greedy", x=x, y=y)
        np.testing.assert_array_equal(found.col_of_row, naive.greedy(x, y))
        found = match(affinity, method="topk_greedy", n_exact=9, x=x, y=y, tolerance=1e-7)
        assert found.value == pytest.approx(naive.topk_greedy(x, y, 9), rel=1e-5)


@pytest.mark.skipif(_PLAIN, reason="takes half a minute uncompiled")
def test_batch_optimal_builds_blocks_only(rng: np.random.Generator) -> None:
    """At s = 200,000 the affinity would take 160 GB."""
    x, y = images(rng, 200_000, 2)
    found = match(None, method="batch_optimal", batch=64, x=x[:, :2], y=y, tolerance=1e-2)
    assert found.value > float(np.einsum("sc,sc->", x, y))


def test_diagonal_needs_no_affinity(rng: np.random.Generator) -> None:
    x, y = images(rng, 200_000, 2)
    found = match(None, method="diagonal", x=x, y=y)
    assert found.value == pytest.approx(np.einsum("sc,sc->", x, y, dtype=np.float64))
