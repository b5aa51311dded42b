import threading
import time

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from semrsm_cli.rsm.threads import available_cores, run, single_threaded_blas


@pytest.mark.parametrize("threads", [1, 3])
def test_every_job_gets_its_result(threads: int) -> None:
    assert dict(run(lambda job: job**2, range(20), threads)) == {job: job**2 for job in range(20)}


def test_threads_work_at_the_same_time() -> None:
    meet = threading.Barrier(2, timeout=20)
    assert len(dict(run(lambda _: meet.wait(), range(2), 2))) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_drops_the_jobs_not_yet_begun(threads: int) -> None:
    begun = []

    def fail_first(job: int) -> None:
        begun.append(job)
        if job == 0:
            raise ValueError("broken")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="broken"):
        list(run(fail_first, range(100), threads))
    assert len(begun) < 50


def test_at_least_one_core() -> None:
    assert available_cores() >= 1


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_gets_its_threads_back_when_the_last_has_ended() -> None:
    with threadpool_limits(2, user_api="blas"):
        first, second = single_threaded_blas(), single_threaded_blas()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}
