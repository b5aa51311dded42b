"""The units of a worker share its cores, in their order."""

import threading
import time
from pathlib import Path

import pytest

from semrsm_cli.cluster.cores import Cores, StopSign
from semrsm_cli.errors import SemrsmError


def test_no_more_threads_compute_than_there_are_cores() -> None:
    cores, lock = Cores(2), threading.Lock()
    now, most, done = 0, 0, 0

    def work(unit: int) -> None:
        nonlocal now, most, done
        for _ in range(20):
            with cores.hold(unit):
                with lock:
                    now += 1
                    most = max(most, now)
                time.sleep(0.001)
                with lock:
                    now, done = now - 1, done + 1

    threads = [threading.Thread(target=work, args=(cores.new_unit(),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, done, now) == (2, 100, 0)


def test_the_unit_that_began_first_goes_first() -> None:
    cores, order = Cores(1), []
    units = [cores.new_unit() for _ in range(4)]
    assert units == sorted(units)

    def work(unit: int) -> None:
        with cores.hold(unit):
            order.append(unit)

    with cores.hold(units[0]):
        threads = [threading.Thread(target=work, args=(unit,)) for unit in reversed(units[1:])]
        for thread in threads:
            thread.start()
        while len(cores._waiting) < 3:
            time.sleep(0.001)
    for thread in threads:
        thread.join(60)
    assert order == units[1:]


def test_a_core_is_given_back_after_an_error() -> None:
    cores = Cores(1)
    with pytest.raises(ZeroDivisionError), cores.hold(0):
        raise ZeroDivisionError
    with cores.hold(0):
        pass


def test_a_unit_ends_when_its_run_has_ended(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    sign = StopSign(tmp_path / "here", every_s=0)
    sign.check()
    (tmp_path / "here").unlink()
    with pytest.raises(SemrsmError, match="has ended"):
        sign.check()
    StopSign(tmp_path / "here", every_s=60).check()  # not yet looked
