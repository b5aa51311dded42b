"""Who works: the workers of a cluster, looked at now and then; newcomers are asked what they are."""

import logging
import math
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semrsm_cli.cluster import inspection
from semrsm_cli.cluster.schedulers import Connection
from semrsm_cli.errors import SemrsmError
from semrsm_cli.store import digest

__all__ = ["AT_ONCE", "TICK_S", "Roster"]

TICK_S = 1.0  # between looks
AT_ONCE = 2  # units that a worker has begun: the next one is read, and takes the cores that the last leaves
_ASK_S = 5.0  # between questions to Slurm where nobody works
_REPLACED_S = 60.0  # by which an ended job is replaced
_UNSETTLED_S = 5.0  # after the loss or refusal of a worker
_QUEUE_LINE_S = 60.0  # between lines that say that nobody works
_LOG = logging.getLogger(__name__)


@dataclass
class _Worker:
    """What is known of a worker."""

    host: str
    processor: str
    cores: int
    refusal: str


class Roster:
    """The workers that may do units of this run, and those that were refused.

    Args:
        stop_sign: A file that whoever may work must see.

    Attributes:
        expected: The versions that a worker must have.
        resource: What Dask calls the right to work for such a run.
        present: Addresses of those who may work now.
        core_seconds: What their cores have cost so far.
    """

    def __init__(self, stop_sign: Path) -> None:
        self.stop_sign = stop_sign
        self.expected = inspection.versions()
        self.resource = f"semrsm-{digest([self.expected, str(stop_sign.parents[1])])[:12]}"
        self.present: set[str] = set()
        self.core_seconds = 0.0
        self._workers: dict[str, _Worker] = {}  # all that were ever seen
        self._looked, self._said, self._asked, self._jobless_since = 0.0, 0.0, 0.0, math.inf
        self._unsettled = -math.inf  # when the last worker was lost or refused

    @property
    def facts(self) -> dict[str, Any]:
        """Hosts and their processors, workers and costs."""
        fit = [worker for worker in self._workers.values() if not worker.refusal]
        return {
            "hosts": {worker.host: worker.processor for worker in fit},
            "workers": len(fit),
            "core_hours": round(self.core_seconds / 3600, 4),
        }

    def is_refused(self, address: str) -> bool:
        """Whether a worker may not work."""
        return address in self._workers and bool(self._workers[address].refusal)

    def refuse(self, connection: Connection, address: str, reason: str) -> bool:
        """Give no more units to a worker; False where it had none any more."""
        worker = self._workers.get(address)
        if worker is None or worker.refusal:
            return False
        worker.refusal = reason
        self.present.discard(address)
        self._unsettled = time.monotonic()
        _LOG.warning("worker %s on %s gets no more units: %s", address, worker.host, reason)
        connection.client.run(inspection.forbid_work, self.resource, workers=[address], on_error="ignore")
        return True

    def look(self, connection: Connection, units: int) -> bool:
        """See who is there, ask newcomers what they are, and count what they cost.

        Returns:
            Whether a worker was lost or refused lately, so that units may lie where nobody does them.

        Raises:
            SemrsmError: The scheduler is gone, or nobody is left who may work.
        """
        now = time.monotonic()
        if self.present and now - self._looked < TICK_S:
            return False
        if not self.present:
            time.sleep(min(TICK_S, 0.1))
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
            cores = sum(self._workers[address].cores for address in self.present)
            self.core_seconds += cores * (now - self._looked)
        self._looked = now
        self.stop_sign.touch()  # or it would be taken for what a killed run left
        connection.keep(units)
        for address in self.present - present:
            self._unsettled = now
            _LOG.warning("worker %s on %s is lost; others do its units", address, self._workers[address].host)
        self._ask(connection, present - self._workers.keys())
        self.present = {address for address in present & self._workers.keys() if not self._workers[address].refusal}
        self._require_workers(connection, present, now)
        return now - self._unsettled < _UNSETTLED_S

    def _ask(self, connection: Connection, newcomers: set[str]) -> None:
        """Let newcomers describe themselves; those that do not fit are refused by name."""
        if not newcomers:
            return
        import cloudpickle

        cloudpickle.register_pickle_by_value(inspection)
        answers = connection.client.run(
            inspection.describe_worker,
            self.expected,
            str(self.stop_sign),
            self.resource,
            AT_ONCE,
            workers=sorted(newcomers),
            on_error="return",
        )
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # it has left already
                continue
            if not isinstance(answer, dict):
                reason = (str(answer).strip().splitlines() or [type(answer).__name__])[-1]
                answer = {"host": address, "processor": "", "cores": 0, "refusal": f"it cannot be asked ({reason})"}
            self._workers[address] = _Worker(**answer)
            if answer["refusal"]:
                _LOG.warning("worker %s on %s is refused: %s", address, answer["host"], answer["refusal"])

    def _require_workers(self, connection: Connection, present: set[str], now: float) -> None:
        """Raise SemrsmError where nobody may work, and say now and then that nobody is there yet."""
        if self.present:
            self._jobless_since = math.inf
            return
        refused = [self._workers[address] for address in sorted(present & self._workers.keys())]
        is_settled = now - self._unsettled > _UNSETTLED_S  # else one that was lost may be about to come back
        if refused and len(refused) == len(present) and is_settled:
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
