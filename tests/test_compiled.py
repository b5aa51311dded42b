"""Compiled functions where their code can be kept, and where it cannot."""

from typing import Any

import numba
import pytest

from semrsm_cli.compiled import compiled


def successor(x: int) -> int:
    return x + 1


def test_keeps_code_on_disk() -> None:
    function: Any = compiled(nogil=True)(successor)
    assert function(1) == 2
    assert function.stats.cache_path
    assert function.targetoptions["nogil"]


def test_compiles_anew_where_nothing_can_be_kept() -> None:
    nowhere: dict[str, Any] = {}
    exec("def successor(x): return x + 1", nowhere)  # no file, so numba has no folder for its code
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(nowhere["successor"])
    assert compiled(nogil=True)(nowhere["successor"])(1) == 2
