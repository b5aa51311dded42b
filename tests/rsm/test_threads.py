import threading
import time

import pytest

from semrsm_cli.rsm.threads import available_cores, run


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
