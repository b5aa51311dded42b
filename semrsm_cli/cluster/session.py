"""Units of work on a Dask cluster: handed out a few at a time, and again where a worker was lost."""

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from semrsm_cli.cluster.payload import Payload
from semrsm_cli.cluster.roster import AT_ONCE, TICK_S, Roster
from semrsm_cli.cluster.schedulers import Connection, expected_cores, require_installed
from semrsm_cli.cluster.settings import ClusterConfig, Launcher
from semrsm_cli.cluster.unit import Failure, Result, run_unit
from semrsm_cli.errors import SemrsmError
from semrsm_cli.store import cache_folder

__all__ = ["Session"]

_Job = TypeVar("_Job")
_ATTEMPTS = 4  # to compute a unit
_RESULT_S = 5.0  # in which a result of some bytes arrives


@dataclass
class _Unit:
    """A unit of work that is not done."""

    job: Any
    failed_on: list[str] = field(default_factory=list)


class Session:
    """A cluster that is reached or started when the first unit is computed, and left by `close`.

    Args:
        settings: Which cluster.

    Attributes:
        roster: Who works, and what that costs.
        stop_sign: A file that is there as long as the run goes on.
        repeated: Units that were begun again.

    Raises:
        ConfigError: What the cluster needs is not installed.
    """

    def __init__(self, settings: ClusterConfig) -> None:
        require_installed(settings)
        self.settings = settings
        self.repeated = 0
        self._connection: Connection | None = None
        self._finished, self._number = 0, 0
        self._done, self._open, self._spent_before = 0, 0, 0.0
        self.folder = cache_folder().resolve() / f".{uuid.uuid4().hex}.cluster"
        self.stop_sign = self.folder / "here"
        self.roster = Roster(self.stop_sign)

    @property
    def cores(self) -> int:
        """The cores that will work for this run; a running cluster is asked."""
        cores = expected_cores(self.settings)
        if cores is None:
            cores = sum(self._connect().client.nthreads().values())
        return max(1, cores)

    @property
    def memory(self) -> int | None:
        """Bytes that a worker may take; None where nothing limits it but its machine."""
        return self.settings.bytes if self.settings.name == Launcher.slurm else None

    @property
    def facts(self) -> dict[str, Any]:
        """What is worth a note: hosts and their processors, cores, costs."""
        counts = {"units": self._finished, "units_repeated": self.repeated}
        return {"engine": str(self.settings.name)} | self.roster.facts | counts

    def status(self) -> str:
        """Units, workers and costs, for a line of progress."""
        done, left, spent = self._done, self._open, self.roster.core_seconds
        ahead = f", {(spent - self._spent_before) / done * left / 3600:.2g} left" if done and left else ""
        workers = len(self.roster.present)
        return f"{done} of {done + left} units, {workers} workers, {spent / 3600:.2g} core-hours{ahead}"

    def map(
        self, function: Callable[[Any, _Job, int], Any], shared: Any, jobs: Iterable[_Job]
    ) -> Iterator[tuple[_Job, Any]]:
        """Yield each job with `function(shared, job, threads)` as it is done, on whichever worker.

        About twice as many jobs are outstanding as there are workers. A job must not mind being done twice, and what it
        gives must be small.

        Raises:
            SemrsmError: A job failed, or nobody is left to do it.
        """
        todo = [_Unit(job) for job in jobs][::-1]
        if not todo:
            return
        connection = self._connect()
        self._number += 1
        payload = Payload.write(shared, self.folder / f"{self._number}.payload")
        done: SimpleQueue[Any] = SimpleQueue()
        pending: dict[Any, _Unit] = {}
        self._done, self._open, self._spent_before = 0, len(todo), self.roster.core_seconds
        try:
            while todo or pending:
                if self.roster.look(connection, self._open):
                    todo += self._take_back(connection, self._forgotten(connection, pending), pending)
                while todo and len(pending) < AT_ONCE * len(self.roster.present) and _is_heard(connection):
                    unit = todo.pop()
                    future = connection.client.submit(
                        run_unit, function, payload, unit.job, pure=False, resources={self.roster.resource: 1}
                    )
                    pending[future] = unit
                    future.add_done_callback(done.put)
                for future in _arrived(done):
                    if future not in pending:  # taken from a worker that gets no more units
                        continue
                    unit = pending.pop(future)
                    result = self._result(connection, future, unit)
                    if isinstance(result, Failure):
                        todo += self._refuse(connection, result, pending)
                        result = None
                    if result is None:
                        self.repeated += 1
                        todo.append(unit)
                        continue
                    self._finished, self._done, self._open = self._finished + 1, self._done + 1, self._open - 1
                    yield unit.job, result.value
        finally:
            _cancel(connection, list(pending))

    def close(self) -> None:
        """Free all jobs, and remove what was only for them."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def scratch(self) -> Path:
        """A new folder of the store that all workers see, until the session is closed."""
        self._connect()
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir(parents=True)
        return folder

    def _connect(self) -> Connection:
        if self._connection is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.stop_sign.touch()
            try:
                self._connection = Connection(self.settings, self.folder)
            except BaseException:
                self.close()
                raise
        return self._connection

    def _result(self, connection: Connection, future: Any, unit: _Unit) -> Result | Failure | None:
        """What a unit gave; None where it was lost.

        Raises:
            SemrsmError: It failed on several workers, or wherever it would be done.
        """
        from distributed import KilledWorker

        try:
            result = future.result(timeout=_RESULT_S)
        except (CancelledError, TimeoutError):  # the scheduler was lost, or the worker with the result in its hands
            _cancel(connection, [future])
            return None
        except KilledWorker as error:
            unit.failed_on.append(str(error.last_worker.address))
            if len(unit.failed_on) >= _ATTEMPTS:
                raise SemrsmError(
                    f"unit {unit.job} ended {len(unit.failed_on)} times with the worker that computed it; workers may "
                    "lack memory: give them more, or fewer cores"
                ) from error
            return None
        assert isinstance(result, Result | Failure)
        if isinstance(result, Failure):
            unit.failed_on.append(result.host)
            if len(unit.failed_on) >= _ATTEMPTS:
                raise SemrsmError(f"{result.reason}, on {', '.join(dict.fromkeys(unit.failed_on))}")
        return result

    def _refuse(self, connection: Connection, failure: Failure, pending: dict[Any, _Unit]) -> list[_Unit]:
        """Give no more units to a worker, and take back those that it has."""
        if not self.roster.refuse(connection, failure.address, failure.reason):
            return []
        client = connection.client
        keys = set(client.processing(workers=[failure.address]).get(failure.address, ()))
        futures = [future for future in pending if future.key in keys]
        return self._take_back(connection, futures, pending)

    def _forgotten(self, connection: Connection, pending: dict[Any, _Unit]) -> list[Any]:
        """Futures that no worker does, and that the scheduler leaves where they are.

        They came while there was no worker, or were given to one whose refusal the scheduler had not heard of. A unit
        that was just done may be among them; the store has its result when it is done again.
        """
        if not pending:
            return []
        try:
            given = connection.client.processing()
        except (OSError, TimeoutError, CancelledError):
            return []
        had = {key for address, keys in given.items() if not self.roster.is_refused(address) for key in keys}
        return [future for future in pending if future.key not in had and not future.done()]

    def _take_back(self, connection: Connection, futures: list[Any], pending: dict[Any, _Unit]) -> list[_Unit]:
        """The units of these futures, which nobody is to do any more."""
        _cancel(connection, futures)
        self.repeated += len(futures)
        return [pending.pop(future) for future in futures]


def _is_heard(connection: Connection) -> bool:
    """Whether there is a scheduler that hears what it is told."""
    return bool(connection.client.status == "running")


def _cancel(connection: Connection, futures: list[Any]) -> None:
    """Drop units, where there still is a scheduler to hear of it."""
    from distributed.client import ClosedClientError

    if futures and _is_heard(connection):
        with suppress(ClosedClientError):  # it may close at this moment
            connection.client.cancel(futures, force=True)


def _arrived(done: "SimpleQueue[Any]") -> Iterator[Any]:
    """What is done: all that is there, or what comes first within a tick."""
    try:
        yield done.get(timeout=TICK_S)
        while True:
            yield done.get_nowait()
    except Empty:
        return
