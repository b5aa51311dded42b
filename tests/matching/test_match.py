import numpy as np
import pytest

from semrsm_cli.matching import Matching, Method, match
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
        ({"affinity": np.zeros((2, 3))}, r"must be square with a row per position, got \(2, 3\) for 2"),
        ({"affinity": np.zeros(3)}, r"two dimensions.*got shape \(3,\)"),
        ({"affinity": np.zeros((0, 0))}, r"none of them empty, got shape \(0, 0\)"),
        ({"affinity": np.array([[1, np.nan], [0, 1]])}, "1 of 4 values are not"),
        ({"affinity": np.full((2, 2), np.inf)}, "4 of 4 values are not"),
        ({"affinity": None}, "nothing to match: give an affinity"),
        ({"affinity": np.eye(2), "method": "greedy"}, "greedy goes by the norms"),
        ({"affinity": None, "x": np.eye(3), "y": np.eye(2)}, r"same positions and channels, got \(3, 3\) and \(2, 2\)"),
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
