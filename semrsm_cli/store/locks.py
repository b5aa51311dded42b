"""Locks that keep processes from filling the same part of the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from semrsm_cli.store.keys import cache_folder

__all__ = ["locked"]


@contextmanager
def locked(key: str, root: Path | None = None) -> Iterator[None]:
    """Keep other processes from filling the same part of the store; a killed process frees its lock."""
    folder = (root or cache_folder()) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        yield
