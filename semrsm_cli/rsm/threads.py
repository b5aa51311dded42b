"""Threads that share the tiles of an RSM; the compiled code and BLAS hold no interpreter lock."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["available_cores", "run", "single_threaded_blas"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def available_cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread per thread of ours, whose results then do not depend on the number of threads.

    Several threads may do so at once: BLAS gets its threads back when the last of them ends.
    """
    with _blas.lock:
        if not _blas.users:
            _blas.limits = threadpool_limits(1, user_api="blas")
        _blas.users += 1
    try:
        yield
    finally:
        with _blas.lock:
            _blas.users -= 1
            if not _blas.users:
                _blas.limits.restore_original_limits()


class _Blas:
    """Who keeps BLAS to one thread now, and what it had before."""

    lock = Lock()
    users = 0
    limits: Any = None


_blas = _Blas()


def run(function: Callable[[_Job], _Result], jobs: Iterable[_Job], threads: int) -> Iterator[tuple[_Job, _Result]]:
    """Yield each job with its result as it is done; an error, or leaving early, drops the jobs not yet begun."""
    if threads == 1:
        for job in jobs:
            yield job, function(job)
        return
    pool, left = ThreadPoolExecutor(threads), iter(jobs)
    try:
        # one waits for each thread: more would pile up results where they are taken more slowly than made
        begun = {pool.submit(function, job): job for job in islice(left, 2 * threads)}
        while begun:
            for future in wait(begun, return_when=FIRST_COMPLETED).done:
                yield begun.pop(future), future.result()
                begun |= {pool.submit(function, job): job for job in islice(left, 1)}
    finally:
        pool.shutdown(cancel_futures=True)
