import os
import re
import subprocess
import sys

import numba
import numpy as np
import pytest

from semrsm_cli.matching import scans
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.scans import (
    BLOCK,
    lowest_bit,
    multiply,
    parts_above,
    two_best,
    two_best_of_both,
    two_best_remembered,
)


@numba.njit
def compiled_two_best(affinity, start, price, begin, end):
    return two_best(affinity, start, price, begin, end)


@numba.njit
def compiled_two_best_of_both(affinity, start, other_start, price):
    return two_best_of_both(affinity, start, other_start, price)


@numba.njit
def compiled_remembered(columns, memory, row, price):
    return two_best_remembered(columns, memory, row, price)


@numba.njit
def compiled_parts_above(memory, row, begin, end, profit):
    return parts_above(memory, row, begin, end, profit)


@numba.njit
def compiled_multiply(x, row, packed, begin, end, out):
    multiply(x, row, packed, begin, end, out)


@numba.njit
def compiled_lowest_bit(bits):
    return lowest_bit(bits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("begin", "end"), [(0, 16), (0, 96), (32, 48), (16, 96)])
def test_two_best_is_its_plain_twin(begin: int, end: int, dtype: type, rng: np.random.Generator) -> None:
    affinity, price = rng.integers(0, 9, 200).astype(dtype), rng.random(96).astype(dtype)
    assert compiled_two_best(affinity, 7, price, begin, end) == scans._two_best_plain(affinity, 7, price, begin, end)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [16, 64, 96])
def test_two_rows_at_once_are_each_alone(length: int, dtype: type, rng: np.random.Generator) -> None:
    affinity, price = rng.integers(0, 9, 300).astype(dtype), rng.random(length).astype(dtype)
    for start, other in ((0, 200), (130, 7), (3, 3)):
        expected = tuple(scans._two_best_plain(affinity, at, price, 0, length) for at in (start, other))
        assert compiled_two_best_of_both(affinity, start, other, price) == expected
        assert scans._two_best_of_both_plain(affinity, start, other, price) == expected


def test_two_best_passes_over_what_has_an_infinite_price(rng: np.random.Generator) -> None:
    affinity, price = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
    price[9:] = np.inf
    assert compiled_two_best(affinity, 0, price, 0, 32) == (8, 7, 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parts", [LANES, 2 * LANES, 4 * LANES, 16 * LANES])
def test_remembered_is_its_plain_twin(parts: int, dtype: type, rng: np.random.Generator) -> None:
    columns = rng.integers(0, 50, (20, parts)).astype(np.int32)
    memory, price = rng.random((20, 2, parts)).astype(dtype), rng.random(50).astype(dtype)
    for row in range(20):
        best, second, part = compiled_remembered(columns, memory, row, price)
        assert (best, second, part) == scans._two_best_remembered_plain(columns, memory, row, price)
        for begin in range(0, parts, 64):
            end = min(begin + 64, parts)
            above = compiled_parts_above(memory, row, begin, end, dtype(second))
            assert above % 2**64 == scans._parts_above_plain(memory, row, begin, end, second)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multiply_computes_the_columns_asked_for(dtype: type, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(3, 7)).astype(dtype), rng.normal(size=(4 * BLOCK, 7)).astype(dtype)
    packed = np.ascontiguousarray(y.reshape(4, BLOCK, 7).transpose(0, 2, 1))
    out, twin = np.zeros(4 * BLOCK, dtype), np.zeros(4 * BLOCK, dtype)
    compiled_multiply(x, 2, packed, BLOCK, 3 * BLOCK, out)
    scans._multiply_plain(x, 2, packed, BLOCK, 3 * BLOCK, twin)
    expected = y @ x[2]
    np.testing.assert_allclose(out[BLOCK : 3 * BLOCK], expected[BLOCK : 3 * BLOCK], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(twin, out, rtol=1e-4, atol=1e-5)
    assert not out[:BLOCK].any()
    assert not out[3 * BLOCK :].any()


def test_lowest_bit() -> None:
    assert [compiled_lowest_bit(b) for b in (1, 2, 12, 1 << 15)] == [0, 1, 2, 15]
    assert [scans._lowest_bit_plain(b) for b in (1, 2, 12, 1 << 15)] == [0, 1, 2, 15]


@pytest.mark.skipif(scans._PLAIN, reason="nothing is compiled")
def test_the_scan_is_vector_code() -> None:
    compiled_two_best(np.zeros(32, np.float32), 0, np.zeros(32, np.float32), 0, 32)
    assembly = "".join(compiled_two_best.inspect_asm().values())
    if "xmm" not in assembly:
        pytest.skip("not an x86 processor")
    wide = "zmm" if "avx512f" in numba_features() else "ymm" if "avx2" in numba_features() else "xmm"
    assert re.search(rf"vmaxps.*{wide}", assembly) or wide == "xmm"


def numba_features() -> str:
    from llvmlite import binding

    return ",".join(name for name, has in binding.get_host_cpu_features().items() if has)


def test_runs_uncompiled() -> None:
    """The plain twins give valid matchings and RSMs, and no warning."""
    code = """
import numpy as np
from semrsm_cli.matching import affinities, match
from semrsm_cli.rsm import gram
rng = np.random.default_rng(0)
for s in (2, 5, 20):
    x, y = rng.normal(size=(2, s, 3)).astype(np.float32)
    found = match(x @ y.T)
    exact = match(x @ y.T, method="scipy")
    assert found.value <= exact.value + 1e-5 and exact.value <= found.bound + 1e-5
    assert found.bound - found.value < 1e-2
    for method in ("batch_optimal", "topk_greedy", "greedy"):
        assert sorted(match(None, method=method, x=x, y=y, batch=4, n_exact=3).col_of_row) == list(range(s))
    affinities.MAX_MATRIX_BYTES = 0
    computed = match(None, x=x, y=y)
    assert abs(computed.value - exact.value) < 1e-2
    affinities.MAX_MATRIX_BYTES = 2**28
assert gram(rng.normal(size=(3, 4, 2)), threads=1).inner.shape == (3, 3)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment, timeout=120)
