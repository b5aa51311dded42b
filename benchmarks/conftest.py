"""What benchmarks under pytest share: maps in its cache folder, one core, and the versions that numbers are of."""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_maps import maps_of, one_core


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """As the paper's Table 5."""
    with one_core():
        yield


@pytest.fixture(scope="session")
def maps(request: pytest.FixtureRequest) -> Callable[[int], np.ndarray]:
    """Representations [n, s, c] by their number of positions; computed once, then kept."""
    folder = Path(request.config.cache.mkdir("maps"))  # type: ignore[union-attr]
    return lambda s: maps_of(folder, s)


@pytest.fixture
def facts(benchmark: Any) -> Callable[..., None]:
    """Note what a reader of the numbers has to know."""

    def note(**more: Any) -> None:
        packages = ("numpy", "numba", "scipy", "ortools", "lapjv", "lapx", "lapcpp")
        benchmark.extra_info.update(more, threads=1, python=platform.python_version())
        benchmark.extra_info.update({name: version(name) for name in packages})

    return note
