import numpy as np
import pytest

from semrsm_cli.matching import (
    Matching,
    Method,
    affinities,
    approximate,
    assess,
    check_pair,
    match,
    match_tile,
    permute,
)
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.scans import _PLAIN


def test_result_holds_plain_numbers(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 12, 3))
    for method in Method:
        if method in (Method.lapx, Method.lapcpp):
            pytest.importorskip("lap" if method is Method.lapx else "lapcpp")
        found = match(x @ y.T, method=method, x=x, y=y)
        assert isinstance(found, Matching)
        assert type(found.value) is float
        assert type(found.bound) is float
        assert found.col_of_row.dtype == np.int64
        assert found.value <= found.bound


def test_takes_lists_and_integers() -> None:
    assert match([[1, 5], [2, 3]]).col_of_row.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"affinity": np.zeros((2, 3)), "method": "scipy"}, r"must be square for scipy, got \(2, 3\); optimal matches"),
        ({"affinity": np.eye(2), "x": np.eye(2), "y": np.ones((3, 2))}, r"must have a row and a column per position"),
        ({"affinity": np.zeros(3)}, r"two dimensions.*got shape \(3,\)"),
        ({"affinity": np.zeros((0, 0))}, r"none of them empty, got shape \(0, 0\)"),
        ({"affinity": np.array([[1, np.nan], [0, 1]])}, "1 of 4 values are not"),
        ({"affinity": np.full((2, 2), np.inf)}, "4 of 4 values are not"),
        ({"affinity": None}, "nothing to match: give an affinity"),
        ({"affinity": np.eye(2), "method": "greedy"}, "greedy goes by the norms"),
        ({"affinity": None, "x": np.eye(3), "y": np.eye(2)}, r"same channels, got \(3, 3\) and \(2, 2\)"),
        ({"affinity": np.eye(2), "x": np.eye(3), "y": np.eye(3)}, r"got \(2, 2\) for 3"),
        ({"affinity": np.eye(2), "tolerance": -1.0}, "tolerance must be at least 0 and below 1, got -1.0; try 1e-4"),
        ({"affinity": None, "x": np.eye(2), "y": np.eye(2), "method": "batch_optimal", "batch": 0}, "batch must be at"),
        ({"affinity": None, "x": np.eye(2), "y": np.eye(2), "method": "topk_greedy", "n_exact": 0}, "n_exact must be"),
        ({"affinity": np.eye(2), "method": "best"}, "'best' is not a valid Method"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match(arguments.pop("affinity"), **arguments)


@pytest.mark.skipif(_PLAIN, reason="uncompiled sums of scalars warn when they overflow")
def test_sums_that_overflow_are_no_error() -> None:
    affinity = np.full((20, 20), 3e37, np.float32)
    assert match(affinity).value == pytest.approx(20 * 3e37, rel=1e-6)


def test_finding_a_permutation_neither_checks_nor_assesses(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.normal(size=(2, 40, 3)).astype(np.float32)
    for method in Method:
        if method in (Method.lapx, Method.lapcpp):
            continue
        pair = check_pair(x @ y.T, x, y)
        with monkeypatch.context() as patched:
            for module, name in (
                (np, "isfinite"),
                (affinities, "max_similarity"),
                (approximate, "upper_bounds"),
            ):
                patched.setattr(module, name, lambda *_, name=name: pytest.fail(f"{name} is no part of matching"))
            permutation = permute(pair, method, tolerance=1e-4, batch=8, n_exact=8)
        step_by_step = assess(pair, method, permutation)
        at_once = match(x @ y.T, method=method, batch=8, n_exact=8, x=x, y=y)
        np.testing.assert_array_equal(step_by_step.col_of_row, at_once.col_of_row)
        assert (step_by_step.value, step_by_step.bound) == (at_once.value, at_once.bound)


@pytest.mark.parametrize("method", [*Method])
def test_a_tile_has_the_values_and_bounds_of_its_pairs(method: Method, rng: np.random.Generator) -> None:
    if method in (Method.lapx, Method.lapcpp):
        pytest.importorskip("lap" if method is Method.lapx else "lapcpp")
    left, right = rng.normal(size=(2, 3, 20, 4)).astype(np.float32)
    inner, bound = match_tile(Affinities(left, right), np.ones((3, 3), bool), method, 1e-6, 8, 5)
    for i, j in np.ndindex(3, 3):
        pair = match(None, method=method, tolerance=1e-6, batch=8, n_exact=5, x=left[i], y=right[j])
        assert inner[i, j] == pytest.approx(pair.value, rel=1e-5)
        assert bound[i, j] == pytest.approx(pair.bound, rel=1e-5)
