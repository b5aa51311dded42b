"""The cores of a worker, which its units share."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path

from semrsm_cli.errors import SemrsmError

__all__ = ["Cores", "StopSign"]


class Cores:
    """So many threads may compute at once; those of the unit begun first go first.

    So the next unit takes the cores that the last pieces of a unit leave, and reads its images while that computes.
    """

    def __init__(self, n: int) -> None:
        self._free = n
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._tickets = itertools.count()
        self._units = itertools.count()

    def new_unit(self) -> int:
        """The place of a unit in the order."""
        return next(self._units)

    @contextmanager
    def hold(self, unit: int) -> Iterator[None]:
        """A core for a thread of a unit."""
        mine = unit, next(self._tickets)
        with self._changed:
            heappush(self._waiting, mine)
            self._changed.wait_for(lambda: self._free > 0 and self._waiting[0] == mine)
            heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class StopSign:
    """Ends a unit whose run was ended: its file is gone then."""

    def __init__(self, path: Path, every_s: float = 5.0) -> None:
        self.path, self._every_s, self._looked = path, every_s, time.monotonic()

    def check(self) -> None:
        """Raise SemrsmError where the run has ended; looked at now and then."""
        if time.monotonic() - self._looked > self._every_s:
            self._looked = time.monotonic()
            if not self.path.exists():
                raise SemrsmError("the run that asked for this unit has ended")
