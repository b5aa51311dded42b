import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from semrsm_cli.rsm import Gram, Invariance, Kernel, estimate_cost, gram, kernel, rsm
from semrsm_cli.rsm import kernels as kernels_module
from semrsm_cli.rsm.cost import CostEstimate


def test_counts_what_gram_will_do(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(5, 16, 3)), rng.normal(size=(4, 16, 3))
    counted: list[int] = []
    gram(x, progress=counted.append)
    ahead = estimate_cost(x, threads=1)
    assert isinstance(ahead, CostEstimate)
    assert ahead.pairs == sum(counted) == 15
    assert estimate_cost(x, y, threads=1).pairs == 20
    assert estimate_cost(x, y, threads=1).disk_bytes == 2 * 8 * 20
    assert ahead.seconds > 0
    assert ahead.memory_bytes > 0


def test_takes_the_settings_of_gram(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 6, 2))
    ahead = estimate_cost(x, invariance="translation", grid=(2, 3), memory_gib=1)
    assert ahead.pairs == 6
    with pytest.raises(ValueError, match="grid"):
        estimate_cost(x, invariance="translation")


def test_counts_the_pairs_asked_for(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(3, 6, 2)), rng.normal(size=(4, 6, 2))
    pairs = np.array([[0, 3], [1, -1], [2, -1]])
    assert estimate_cost(x, y, pairs=pairs, invariance="pooled").pairs == 4
    with pytest.raises(ValueError, match="left out without y"):
        estimate_cost(x, pairs=pairs)


def peak_bytes(function: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_what_is_estimated(rng: np.random.Generator, subtests: pytest.Subtests) -> None:
    n = 1000
    x = rng.normal(size=(n, 4, 8)).astype(np.float32)
    ahead = estimate_cost(x, invariance="none", threads=2)
    wide = gram(x, invariance="none", threads=2)
    cases = {
        "gram": (lambda: gram(x, invariance="none", threads=2), ahead.disk_bytes, ahead.memory_bytes),
        "gram that is taken slowly": (
            lambda: gram(x, invariance="none", threads=2, progress=lambda _: time.sleep(0.01)),
            ahead.disk_bytes,
            ahead.memory_bytes,
        ),
        "linear": (lambda: kernel(wide, "linear"), 0, ahead.kernel_bytes),
        "cosine": (lambda: kernel(wide, "cosine"), 0, ahead.kernel_bytes),
        "rbf": (lambda: kernel(wide, "rbf"), 0, ahead.kernel_bytes),
        "rsm": (lambda: rsm(x, kernel="rbf", invariance="none", threads=2), 0, 3 * ahead.kernel_bytes // 2),
        "rbf in one tile": (lambda: kernel(wide, "rbf", sigma_tile=n), 0, ahead.kernel_bytes),
    }
    for case, (function, result, beside) in cases.items():
        with subtests.test(case):
            room = 2 * n * n  # a quarter of a matrix, for blocks of rows
            assert result < peak_bytes(function) <= result + beside + room


FORECAST = """
import sys
from pathlib import Path
import numpy as np, psutil
from semrsm_cli.rsm import Centered, Matcher, estimate_cost, gram, kernel

n, s, c = map(int, sys.argv[1:4])
grid = (s // 16, 16) if sys.argv[4] == "translation" else None
settings = {"invariance": sys.argv[4], "matcher": Matcher(method=sys.argv[5]), "grid": grid, "threads": 2}
x = Centered(np.random.default_rng(0).standard_normal((n, s, c), np.float32), np.zeros((s, c), np.float32))
ahead = estimate_cost(x, **settings)  # which compiles what it needs
before = psutil.Process().memory_info().rss
kernel(gram(x, **settings), "rbf")
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
taken = 1024 * int(status["VmHWM"].split()[0]) - before  # ru_maxrss begins with what the parent had
print((ahead.memory_bytes + ahead.disk_bytes + ahead.kernel_bytes) / taken)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "s", "c", "invariance", "method"),
    [
        (2500, 16, 256, "none", "optimal"),
        (3000, 16, 64, "pooled", "optimal"),
        (600, 64, 256, "translation", "optimal"),
        (400, 49, 512, "maxsim", "optimal"),
        (5, 4096, 128, "permutation", "optimal"),
        (12, 2304, 512, "permutation", "greedy"),
        (12, 4096, 256, "permutation", "batch_optimal"),
        (4, 2048, 128, "permutation", "scipy"),
        (4, 1024, 128, "permutation", "ortools_x1000"),
    ],
)
def test_the_forecast_is_within_half_of_what_a_process_takes(
    n: int, s: int, c: int, invariance: str, method: str
) -> None:
    """Of a process of its own, since what solvers take in C++ is known to nobody else."""
    arguments = [sys.executable, "-c", FORECAST, *map(str, (n, s, c)), invariance, method]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert 1 / 1.5 <= float(done.stdout) <= 1.5


def test_blocks_of_rows_change_no_bit(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_module, "_PAIRS_OF_BLOCK", 100)
    x, y = rng.normal(size=(37, 4, 3)), rng.normal(size=(53, 4, 3))
    x[5] = 0
    for g in (gram(x, invariance="none"), gram(x, y, invariance="none")):
        for settings in ({}, {"sigma": 2.0}, {"sigma_tile": 7}):
            for name in Kernel:
                np.testing.assert_array_equal(kernel(g, name, **settings), in_one_piece(g, name, **settings))


def in_one_piece(g: Gram, name: Kernel, sigma: float | None = None, sigma_tile: int | None = None) -> np.ndarray:
    """A kernel as whole matrices give it."""
    if name is Kernel.linear:
        return g.inner
    if name is Kernel.cosine:
        norms = np.sqrt(g.sq_x)[:, None] * np.sqrt(g.sq_y)[None, :]
        return np.divide(g.inner, norms, out=np.zeros_like(g.inner), where=norms > 0)
    sums = g.sq_x[:, None] + g.sq_y[None, :]
    distances = sums - 2 * g.inner
    distances[distances < 1e-6 * sums] = 0
    tile = sigma_tile or max(distances.shape)
    for i in range(0, distances.shape[0], tile):
        for j in range(0, distances.shape[1], tile):
            part = distances[i : i + tile, j : j + tile]
            width = sigma or np.sqrt(np.median(part[part > 0]))
            part[:] = np.exp(-part / (2 * float(width) ** 2))
    return distances


def test_a_result_that_cannot_be_held_is_named() -> None:
    x = np.ones((2**23, 1, 1), np.float32)
    with pytest.raises(ValueError, match=r"8,388,608 x 8,388,608 images .* take 1,048,576 GiB, more than"):
        gram(x, invariance=Invariance.none)
