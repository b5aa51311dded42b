"""Functions that numba compiles for the user's processor."""

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function with numba's `options` at its first call, and keep the code on disk.

    Where numba may write nowhere (not beside the module, in its user's cache, or in $NUMBA_CACHE_DIR), each process
    compiles anew.
    """

    def compile_later(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            kept: Callable[..., Any] = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to keep code in
            kept = numba.njit(**options)(function)
        return kept

    return compile_later
