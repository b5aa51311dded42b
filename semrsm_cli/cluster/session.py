"""Units of work on a Dask cluster: handed out a few at a time, and again where a worker was lost."""

import logging
import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from semrsm_cli.cluster import inspection
from semrsm_cli.cluster.payload import Payload
from semrsm_cli.cluster.schedulers import Connection, expected_cores, require_installed
from semrsm_cli.cluster.settings import ClusterConfig, Launcher
from semrsm_cli.cluster.unit import Failure, Result, run_unit
from semrsm_cli.errors import SemrsmError
from semrsm_cli.store import cache_folder, digest

__all__ = ["Session"]

_Job = TypeVar("_Job")
_TICK_S = 1.0  # between looks at the workers
_AT_ONCE = 2  # units that a worker with several threads has begun: the next one fills the threads that the last leaves
_ATTEMPTS = 4  # to compute a unit
_ASK_S = 5.0  # between questions to Slurm where nobody works
_REPLACED_S = 60.0  # by which an ended job is replaced
_RESULT_S = 5.0  # in which a result of some bytes arrives
_UNSETTLED_S = 5.0  # after the loss of a worker
_QUEUE_LINE_S = 60.0  # between lines that say that nobody works
_LOG = logging.getLogger(__name__)


@dataclass
class _Worker:
    """What is known of a worker."""

    host: str
    processor: str
    threads: int
    refusal: str


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
        core_seconds: What the workers' cores have cost so far.
        stop_sign: A file that is there as long as the run goes on.
        repeated: Units that were begun again.

    Raises:
        ConfigError: What the cluster needs is not installed.
    """

    def __init__(self, settings: ClusterConfig) -> None:
        require_installed(settings)
        self.settings = settings
        self.core_seconds, self.repeated = 0.0, 0
        self._connection: Connection | None = None
        self._workers: dict[str, _Worker] = {}  # all that were ever seen
        self._present: set[str] = set()  # those that may work now
        self._looked, self._said, self._asked, self._jobless_since = 0.0, 0.0, 0.0, math.inf
        self._lost = -math.inf
        self._done, self._open = 0, 0
        self._number = 0
        store = cache_folder().resolve()
        self.folder = store / f".{uuid.uuid4().hex}.cluster"
        self.stop_sign = self.folder / "here"
        self._expected = inspection.versions()
        self._resource = f"semrsm-{digest([self._expected, str(store)])[:12]}"

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
        fit = [worker for worker in self._workers.values() if not worker.refusal]
        return {
            "engine": str(self.settings.name),
            "hosts": {worker.host: worker.processor for worker in fit},
            "workers": len(fit),
            "units": self._done,
            "units_repeated": self.repeated,
            "core_hours": round(self.core_seconds / 3600, 4),
        }

    def status(self) -> str:
        """Units, workers and costs, for a line of progress."""
        done, left = self._done, self._open
        spent = self.core_seconds / 3600
        ahead = f", {spent / done * left:.2g} left" if done and left else ""
        return f"{done} of {done + left} units, {len(self._present)} workers, {spent:.2g} core-hours{ahead}"

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
        self._done, self._open = 0, len(todo)
        try:
            while todo or pending:
                if self._look(connection, self._open):
                    todo += self._take_back(connection, self._forgotten(connection, pending), pending)
                while todo and len(pending) < _AT_ONCE * len(self._present):
                    unit = todo.pop()
                    future = connection.client.submit(
                        run_unit, function, payload, unit.job, pure=False, resources={self._resource: 1}
                    )
                    pending[future] = unit
                    future.add_done_callback(done.put)
                for future in _arrived(done):
                    if future not in pending:  # taken from a worker that gets no more units
                        continue
                    unit = pending.pop(future)
                    result = self._result(future, unit)
                    if isinstance(result, Failure):
                        todo += self._refuse(connection, result, pending)
                        result = None
                    if result is None:
                        self.repeated += 1
                        todo.append(unit)
                        continue
                    self._done, self._open = self._done + 1, self._open - 1
                    yield unit.job, result.value
        finally:
            if pending and connection.client.status == "running":
                connection.client.cancel(list(pending), force=True)

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

    def _result(self, future: Any, unit: _Unit) -> Result | Failure | None:
        """What a unit gave; None where it was lost.

        Raises:
            SemrsmError: It failed on several workers, or wherever it would be done.
        """
        from distributed import KilledWorker

        try:
            result = future.result(timeout=_RESULT_S)
        except (CancelledError, TimeoutError):  # the scheduler was lost, or the worker with the result in its hands
            future.cancel(force=True)
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
        worker, address = self._workers.get(failure.address), failure.address
        if worker is None or worker.refusal:
            return []
        worker.refusal = failure.reason
        self._present.discard(address)
        _LOG.warning("worker %s on %s gets no more units: %s", address, worker.host, failure.reason)
        client = connection.client
        client.run(inspection.forbid_work, self._resource, workers=[address], on_error="ignore")
        keys = set(client.processing(workers=[address]).get(address, ()))
        futures = [future for future in pending if future.key in keys]
        return self._take_back(connection, futures, pending)

    def _forgotten(self, connection: Connection, pending: dict[Any, _Unit]) -> list[Any]:
        """Futures that no worker has: those that came while there was none, and that the scheduler puts aside for good.

        A unit that was just done may be among them; the store has its result when it is done again.
        """
        if not pending:
            return []
        try:
            had = {key for keys in connection.client.processing().values() for key in keys}
        except (OSError, TimeoutError, CancelledError):
            return []
        return [future for future in pending if future.key not in had and not future.done()]

    def _take_back(self, connection: Connection, futures: list[Any], pending: dict[Any, _Unit]) -> list[_Unit]:
        """The units of these futures, which nobody is to do any more."""
        if futures and connection.client.status == "running":
            connection.client.cancel(futures, force=True)
        self.repeated += len(futures)
        return [pending.pop(future) for future in futures]

    def _look(self, connection: Connection, units: int) -> bool:
        """See who is there, ask newcomers what they are, and count what they cost.

        Returns:
            Whether a worker was lost lately, so that units may be forgotten.

        Raises:
            SemrsmError: The scheduler is gone, or nobody is left who may work.
        """
        now = time.monotonic()
        if self._present and now - self._looked < _TICK_S:
            return False
        if not self._present:
            time.sleep(min(_TICK_S, 0.1))
        client = connection.client
        if client.status == "closed":
            raise SemrsmError(
                "the Dask scheduler is gone; start it again, and the same command goes on from what is in the store"
            )
        if client.status != "running":
            return False
        try:
            present = set(client.nthreads())
        except (OSError, TimeoutError, CancelledError):  # a connection that is just being lost
            return False
        if self._looked:
            cores = sum(self._workers[address].threads for address in self._present)
            self.core_seconds += cores * (now - self._looked)
        self._looked = now
        self.stop_sign.touch()  # or it would be taken for what a killed run left
        connection.keep(units)
        for address in self._present - present:
            self._lost = now
            _LOG.warning("worker %s on %s is lost; others do its units", address, self._workers[address].host)
        self._ask(connection, present - self._workers.keys())
        self._present = {address for address in present & self._workers.keys() if not self._workers[address].refusal}
        self._require_workers(connection, present, now)
        return now - self._lost < _UNSETTLED_S

    def _ask(self, connection: Connection, newcomers: set[str]) -> None:
        """Let newcomers describe themselves; those that do not fit are refused by name."""
        if not newcomers:
            return
        import cloudpickle

        cloudpickle.register_pickle_by_value(inspection)
        answers = connection.client.run(
            inspection.describe_worker,
            self._expected,
            str(self.stop_sign),
            self._resource,
            _AT_ONCE,
            workers=sorted(newcomers),
            on_error="return",
        )
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # it has left already
                continue
            if not isinstance(answer, dict):
                reason = (str(answer).strip().splitlines() or [type(answer).__name__])[-1]
                answer = {"host": address, "processor": "", "threads": 0, "refusal": f"it cannot be asked ({reason})"}
            self._workers[address] = _Worker(**answer)
            if answer["refusal"]:
                _LOG.warning("worker %s on %s is refused: %s", address, answer["host"], answer["refusal"])

    def _require_workers(self, connection: Connection, present: set[str], now: float) -> None:
        """Raise SemrsmError where nobody may work, and say now and then that nobody is there yet."""
        if self._present:
            self._jobless_since = math.inf
            return
        refused = [self._workers[address] for address in sorted(present & self._workers.keys())]
        if refused and len(refused) == len(present):
            raise SemrsmError(f"no worker may work: {refused[0].refusal}, on {refused[0].host}")
        if not present and now - self._asked > _ASK_S:
            self._asked = now
            reason = connection.why_no_worker()
            self._jobless_since = min(self._jobless_since, now) if reason else math.inf
            if now - self._jobless_since > (_REPLACED_S if self._workers else _ASK_S / 2):
                raise SemrsmError(f"all jobs of Slurm have ended: {reason}")
        if now - self._said > _QUEUE_LINE_S:
            if self._said:
                _LOG.warning("waits for workers; none is at work now")
            self._said = now


def _arrived(done: "SimpleQueue[Any]") -> Iterator[Any]:
    """What is done: all that is there, or what comes first within a tick."""
    try:
        yield done.get(timeout=_TICK_S)
        while True:
            yield done.get_nowait()
    except Empty:
        return
