"""Functions that numba compiles for the user's processor."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function with numba's `options` at its first call, and keep the code on disk.

    The kept code is for the sources of the function's whole folder: after an edit or an upgrade it is compiled anew.
    Where numba may write nowhere (not beside the module, in its user's cache, or in $NUMBA_CACHE_DIR), each process
    compiles anew.
    """

    def compile_later(function: Callable[..., Any]) -> Callable[..., Any]:
        # numba looks for edits in the function's own file only; but the code's file is named after the function
        function.__qualname__ += f"_{_digest_of_sources(Path(function.__code__.co_filename).parent)}"
        try:
            kept: Callable[..., Any] = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to keep code in
            kept = numba.njit(**options)(function)
        return kept

    return compile_later


@cache
def _digest_of_sources(folder: Path) -> str:
    """Hash of all modules in a folder, of their names too."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()
