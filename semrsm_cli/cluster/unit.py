"""What a worker does for a unit of work."""

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from semrsm_cli.cluster.inspection import cores_of
from semrsm_cli.cluster.payload import Payload
from semrsm_cli.errors import SemrsmError

__all__ = ["Failure", "Result", "UnfitWorkerError", "run_unit"]

_warm: set[Any] = set()


class UnfitWorkerError(SemrsmError):
    """A worker lacks what a unit needs; another may have it."""


@dataclass(frozen=True)
class Result:
    """What a unit gave."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """Why a worker could not do a unit that another may be able to do."""

    reason: str
    host: str
    address: str


def run_unit(function: Callable[[Any, Any, int], Any], payload: Payload, job: Any) -> Result | Failure:
    """Do a unit with the cores of this worker.

    Raises:
        SemrsmError: It would fail on any worker.
    """
    from distributed import get_worker

    worker = get_worker()
    try:
        shared = payload.read()
        _warm_up(shared)
        return Result(function(shared, job, cores_of(worker)))
    except UnfitWorkerError as error:
        return Failure(str(error), socket.gethostname(), str(worker.address))
    except SemrsmError:
        raise
    except (OSError, MemoryError) as error:
        name = f" {error.filename}" if isinstance(error, OSError) and error.filename else ""
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Failure(f"{text or type(error).__name__}{name}", socket.gethostname(), str(worker.address))


def _warm_up(shared: Any) -> None:
    """Compile what is compiled at the first call, one process of a node after the other: numba's cache is shared."""
    warm_up = getattr(shared, "warm_up", None)
    if warm_up is None or shared in _warm:
        return
    user = os.getuid() if hasattr(os, "getuid") else "all"
    with FileLock(Path(tempfile.gettempdir(), f"semrsm_warm_up_{user}.lock")):
        warm_up()
    _warm.clear()
    _warm.add(shared)
