import dataclasses

import numpy as np
import pytest

from semrsm_cli.matching import Method, match
from semrsm_cli.rsm import Matcher, gram


def test_matches_one_pair(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 30, 4))
    for matcher in (Matcher(), Matcher(method=Method.topk_greedy, n_exact=3)):
        found = matcher.match(x @ y.T, x, y)
        expected = match(x @ y.T, x=x, y=y, **dataclasses.asdict(matcher))
        assert found.value == expected.value
        np.testing.assert_array_equal(found.col_of_row, expected.col_of_row)


@pytest.mark.parametrize("method", Method)
def test_takes_methods_by_name(method: Method, rng: np.random.Generator) -> None:
    if method in (Method.lapx, Method.lapcpp):
        pytest.importorskip("lap" if method is Method.lapx else "lapcpp")
    x = rng.normal(size=(2, 9, 4))
    one, two = (gram(x, matcher=Matcher(method=name, batch=4, n_exact=3)) for name in (method, str(method)))
    np.testing.assert_array_equal(one.inner, two.inner)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "best"}, "method must be one of optimal, .*, got best"),
        ({"tolerance": 2}, "tolerance must be at least 0 and below 1, got 2; try 1e-4"),
        ({"tolerance": np.nan}, "tolerance must be at least 0 and below 1, got nan"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"n_exact": 0}, "n_exact must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Matcher(**settings)
