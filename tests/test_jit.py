"""Compiled functions where their code can be kept, and where it cannot."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from semrsm_cli.jit import compiled

CALLED = """
from semrsm_cli.jit import compiled

@compiled()
def step():
    return {step}
"""
CALLER = """
from called import step
from semrsm_cli.jit import compiled

@compiled()
def successor(x):
    return x + step()

if __name__ == "__main__":
    import caller
    print(caller.successor(1), sum(caller.successor.stats.cache_hits.values()))
"""

RSM_AND_DIVERGENCE = """
import sys
import numpy as np
from semrsm_cli import gram, jensen_shannon

rng = np.random.default_rng(0)
x = np.maximum(rng.normal(size=(20, 256, 24)), -0.3).astype(np.float32)
found = gram(x)
np.savez(sys.argv[1], inner=found.inner, bound=found.bound, divergence=jensen_shannon(rng.dirichlet(np.ones(100), 9)))
"""


def test_compiles_anew_where_nothing_can_be_kept() -> None:
    nowhere: dict[str, Any] = {}
    exec("def successor(x): return x + 1", nowhere)  # no file, so numba has no folder for its code
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(nowhere["successor"])
    assert compiled(nogil=True)(nowhere["successor"])(1) == 2


@pytest.mark.slow
def test_keeps_code_until_a_source_changes(tmp_path: Path) -> None:
    """The caller's own file stays the same: numba alone would go on with the old code of the function it calls."""

    def run(step: int) -> list[int]:
        (tmp_path / "called.py").write_text(CALLED.format(step=step))
        (tmp_path / "caller.py").write_text(CALLER)
        command = [sys.executable, tmp_path / "caller.py"]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        return [int(word) for word in output.split()]

    assert run(step=1) == [2, 0]
    assert run(step=1) == [2, 1]
    assert run(step=5) == [6, 0]
    assert run(step=1) == [2, 1]


@pytest.mark.slow
def test_the_process_that_compiles_finds_the_same_bits_as_the_next(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    paths = [tmp_path / "compiling.npz", tmp_path / "next.npz"]
    for path in paths:
        subprocess.run([sys.executable, "-c", RSM_AND_DIVERGENCE, path], env=environment, check=True)
    compiling, following = (np.load(path) for path in paths)
    for name in compiling:
        np.testing.assert_array_equal(compiling[name], following[name], err_msg=name)
