"""What a network takes in memory while images pass through it."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

__all__ = ["memory_kept", "memory_of_process"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGEST_BY_DEFAULT = 32 * 2**20  # to which glibc raises the threshold by itself


@contextmanager
def memory_kept() -> Iterator[None]:
    """Let the process keep the memory that it frees while the block runs, and give it back at the end.

    Otherwise glibc gives large blocks back at once, and the kernel clears every page of the next batch's activations
    anew, which takes as long as the network. Elsewhere nothing happens.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_ARENA_MAX, 1)  # the heaps of other threads are too small for activations
    libc.mallopt(_MMAP_THRESHOLD, 2**30)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    libc.malloc_trim(0)  # what is free already would hide what the block takes
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BY_DEFAULT)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_BY_DEFAULT)
        libc.mallopt(_ARENA_MAX, 0)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.gnu_get_libc_version  # noqa: B018
            return libc
    return None


def memory_of_process() -> int:
    """Bytes that this process has in memory."""
    return int(psutil.Process().memory_info().rss)
