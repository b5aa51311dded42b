"""Units of work for tests, which workers import."""

import errno
import os
import signal
import time
from pathlib import Path

from semrsm_cli.errors import SemrsmError


class Shared:
    """What units have in common."""

    def __init__(self, folder: Path, bad_host: int = 0) -> None:
        self.folder, self.bad_host = folder, bad_host


def square(shared: Shared, job: int, threads: int) -> int:
    return job**2


def nothing(shared: None, job: int, threads: int) -> None:
    return None


def slow(shared: Shared, job: int, threads: int) -> int:
    """Note who begins, then take some time."""
    note(shared, job)
    time.sleep(0.05)
    return job


def note(shared: Shared, job: int) -> None:
    with (shared.folder / "begun").open("a") as file:
        file.write(f"{job} {os.getpid()}\n")


def killed_once(shared: Shared, job: int, threads: int) -> int:
    """The first worker that gets unit 3 dies of it."""
    note(shared, job)
    if job == 3 and not (shared.folder / "died").exists():
        (shared.folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def full_disk(shared: Shared, job: int, threads: int) -> int:
    """One worker's disk is full: that of the process that comes first."""
    mark = shared.folder / "full"
    try:
        mark.touch(exist_ok=False)
        mark.write_text(str(os.getpid()))
    except FileExistsError:
        while not mark.read_text():
            time.sleep(0.01)
    note(shared, job)
    if mark.read_text() == str(os.getpid()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch")
    time.sleep(0.05)
    return job


def full_everywhere(shared: Shared, job: int, threads: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch")


def wrong(shared: Shared, job: int, threads: int) -> int:
    raise SemrsmError("image 7 cannot be read; write it anew")


def bug(shared: Shared, job: int, threads: int) -> int:
    raise ZeroDivisionError("a bug")
