import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.matching import match
from semrsm_cli.matching import optimal as optimal_module
from semrsm_cli.matching.optimal import compile_all
from tests import naive
from tests.matching.matrices import KINDS


def seeded(kind: str, s: int) -> np.ndarray:
    return KINDS[kind](np.random.default_rng([zlib.crc32(kind.encode()), s]), s)


def check(affinity: np.ndarray, optimum: float, tolerance: float) -> None:
    """A permutation whose value and bound enclose the optimum, no further apart than allowed."""
    found = match(affinity, tolerance=tolerance)
    exact = affinity.astype(np.float64)
    s = len(exact)
    size = s * np.abs(exact).max()
    assert sorted(found.col_of_row) == list(range(s))
    assert found.value == pytest.approx(exact[np.arange(s), found.col_of_row].sum(), rel=1e-12, abs=1e-12 * size)
    assert found.value <= optimum + 1e-12 * size
    assert found.bound >= optimum - 1e-12 * size
    # mean|A| is taken from some of the rows; heavy tails make that differ from the mean over all
    allowed = tolerance * max(abs(found.value), 3 * np.abs(exact).mean() * s / 100)
    assert found.bound - found.value <= allowed + 1e-12 * size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("s", [1, 2, 5, 8])
def test_encloses_the_best_of_all_permutations(kind: str, s: int, dtype: type) -> None:
    affinity = seeded(kind, s).astype(dtype)
    if s == 8 and dtype is np.float64:
        pytest.skip("brute force once is enough at this size")
    check(affinity, naive.best_matching(affinity), 1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("s", [49, 256, 530])
def test_agrees_with_scipy(kind: str, s: int) -> None:
    affinity = seeded(kind, s)
    affinity = affinity if affinity.dtype == np.float16 else affinity.astype(np.float32)
    exact = affinity.astype(np.float64)
    check(affinity, exact[linear_sum_assignment(exact, maximize=True)].sum(), 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_remember_find_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimal_module, "MAX_UNCACHED_ROW", 0)
    for s in (2, 40, 300):
        affinity = seeded(kind, s).astype(np.float32)
        check(affinity, naive.optimum(affinity), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_scipy_on_large_maps(kind: str) -> None:
    affinity = seeded(kind, 2000).astype(np.float32)
    exact = affinity.astype(np.float64)
    check(affinity, exact[linear_sum_assignment(exact, maximize=True)].sum(), 1e-4)


@settings(max_examples=60)
@given(
    s=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    tolerance=st.sampled_from([1e-1, 1e-3, 1e-6, 1e-9]),
)
def test_encloses_the_optimum_for_any_size_and_tolerance(s: int, seed: int, kind: str, tolerance: float) -> None:
    affinity = KINDS[kind](np.random.default_rng(seed), s).astype(np.float32)
    exact = affinity.astype(np.float64)
    optimum = exact[linear_sum_assignment(exact, maximize=True)].sum()
    found = match(affinity, tolerance=tolerance)
    room = 1e-12 * s * np.abs(exact).max()
    assert found.value - room <= optimum <= found.bound + room


@pytest.mark.parametrize("kind", KINDS)
def test_ends_where_no_epsilon_is_small_enough(kind: str) -> None:
    affinity = seeded(kind, 64)
    found = match(affinity, tolerance=0.0)
    exact = affinity.astype(np.float64)
    assert found.value == pytest.approx(naive.optimum(exact), rel=1e-9, abs=1e-9 * np.abs(exact).sum())


@pytest.mark.parametrize(("s", "c"), [(5, 3), (64, 8), (200, 6), (1100, 5)])
def test_vectors_need_no_matrix(s: int, c: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, s, c)).astype(np.float32)
    built = match(None, x=x, y=y)
    monkeypatch.setattr(affinities_module, "MAX_MATRIX_BYTES", 0)
    monkeypatch.setattr(optimal_module, "_solve_tile", None)  # would fail if a matrix were built
    computed = match(None, x=x, y=y)
    optimum = naive.optimum(x.astype(np.float64) @ y.astype(np.float64).T)
    assert sorted(computed.col_of_row) == list(range(s))
    assert computed.value <= optimum * (1 + 1e-6)
    assert computed.bound >= optimum * (1 - 1e-6)
    assert computed.bound - computed.value <= 1e-4 * abs(computed.value) * (1 + 1e-6)
    assert computed.value == pytest.approx(built.value, rel=2e-4)


def test_vectors_without_a_matrix_in_float64(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(affinities_module, "MAX_MATRIX_BYTES", 0)
    x, y = rng.normal(size=(2, 90, 7))
    found = match(None, x=x.astype(np.float32), y=y.astype(np.float32), tolerance=1e-9)
    assert found.value == pytest.approx(naive.optimum(x @ y.T), rel=1e-6)
    assert found.bound - found.value <= 1e-9 * found.value


def test_does_not_change_its_input(rng: np.random.Generator) -> None:
    affinity = rng.normal(size=(32, 32)).astype(np.float32)
    before = affinity.copy()
    affinity.flags.writeable = False
    match(affinity)
    np.testing.assert_array_equal(affinity, before)


def test_takes_any_layout(rng: np.random.Generator) -> None:
    affinity = rng.normal(size=(64, 64)).astype(np.float32)
    turned, cut = match(np.asfortranarray(affinity)), match(np.pad(affinity, 3)[3:-3, 3:-3])
    assert turned.value == cut.value == match(affinity).value


def test_compiles_beforehand() -> None:
    compile_all()
