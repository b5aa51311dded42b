import sys

import numpy as np
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.matching import Method, match
from tests import naive

SOLVERS = [Method.scipy, Method.ortools, Method.lapjv, Method.lapx, Method.lapcpp]
PACKAGE = {Method.lapx: "lap", Method.lapcpp: "lapcpp"}


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e12])
@pytest.mark.parametrize("method", SOLVERS)
def test_finds_the_optimum_at_any_scale(method: Method, scale: float, rng: np.random.Generator) -> None:
    if method in PACKAGE:
        pytest.importorskip(PACKAGE[method])
    affinity = (rng.normal(size=(20, 20)) * scale).astype(np.float32)
    found = match(affinity, method=method)
    assert found.value == pytest.approx(naive.optimum(affinity), rel=1e-6)
    assert found.bound == found.value


@pytest.mark.parametrize("method", SOLVERS)
def test_takes_zeros(method: Method) -> None:
    if method in PACKAGE:
        pytest.importorskip(PACKAGE[method])
    assert match(np.zeros((4, 4)), method=method).value == 0


@pytest.mark.parametrize(("method", "module"), PACKAGE.items())
def test_absent_package_says_how_to_install_it(method: Method, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SemrsmError, match=f"{method} is not installed: pip install {method}"):
        match(np.eye(3), method=method)


def test_upstream_integers_lose_where_affinities_are_small(rng: np.random.Generator) -> None:
    affinity = np.abs(rng.normal(size=(64, 64))) * 4e-4
    upstream, own = match(affinity, method="ortools_x1000"), match(affinity, method="ortools")
    assert upstream.value < 0.95 * own.value
    assert upstream.bound >= own.value


def test_upstream_integers_do_well_where_affinities_are_large(rng: np.random.Generator) -> None:
    affinity = rng.normal(size=(64, 64)) * 50
    assert match(affinity, method="ortools_x1000").value == pytest.approx(naive.optimum(affinity), rel=1e-4)


def test_upstream_greedy_is_what_the_authors_run(rng: np.random.Generator) -> None:
    affinity = rng.normal(size=(40, 40))
    found = match(affinity, method="greedy_upstream")
    assert sorted(found.col_of_row) == list(range(40))
    for row, column in naive.greedy_upstream(affinity).items():
        assert found.col_of_row[row] == column


def test_upstream_greedy_is_far_from_greedy(rng: np.random.Generator) -> None:
    x, y = np.maximum(rng.normal(size=(2, 64, 32)), 0)
    upstream, described = match(x @ y.T, method="greedy_upstream"), match(x @ y.T, method="greedy", x=x, y=y)
    assert upstream.value < 0.8 * described.value
