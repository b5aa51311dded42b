"""Threads that share the tiles of an RSM; the compiled code and BLAS hold no interpreter lock."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["available_cores", "run", "single_threaded_blas"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def available_cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def single_threaded_blas() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread per thread of ours, whose results then do not depend on the number of threads."""
    return threadpool_limits(1, user_api="blas")


def run(function: Callable[[_Job], _Result], jobs: Sequence[_Job], threads: int) -> Iterator[tuple[_Job, _Result]]:
    """Yield each job with its result as it is done; an error, or leaving early, drops the jobs not yet begun."""
    if threads == 1:
        for job in jobs:
            yield job, function(job)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        jobs_of = {pool.submit(function, job): job for job in jobs}
        for future in as_completed(list(jobs_of)):
            yield jobs_of.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)
