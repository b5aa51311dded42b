"""Start or reach a Dask cluster: a running one, workers on this machine, or jobs of Slurm."""

import importlib.util
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semrsm_cli.cluster.inspection import CORES
from semrsm_cli.cluster.settings import ClusterConfig, Launcher, walltime_seconds
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.rsm import available_cores

__all__ = ["Connection", "expected_cores", "require_installed"]

CONNECT_S = 30.0  # until a scheduler that does not answer is given up
PRELOAD = ["semrsm_cli.cluster.preload"]  # what workers on this machine load
_STARTING_S = 60  # that a job needs before its end to hand its units on
_WITHOUT = {Launcher.dask: ("distributed",), Launcher.slurm: ("distributed", "dask_jobqueue")}
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 10,  # workers that may die with a unit before the unit is suspected
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.memory.target": False,  # units know the memory they take; the nanny would kill at 95 %
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.gil.enabled": False,
}
_ANY_PORT = "127.0.0.1:0"  # or a second run on this machine would be warned of the first one's


def require_installed(settings: ClusterConfig) -> None:
    """Raise ConfigError where the extra is missing that these settings need."""
    for module in _WITHOUT.get(settings.name, ()):
        if importlib.util.find_spec(module) is None:
            package = module.replace("_", "-")
            raise ConfigError(f"cluster={settings.name} needs {package}: pip install 'semrsm[cluster]'")
    if settings.name == Launcher.slurm and shutil.which("sbatch") is None:
        raise ConfigError("cluster=slurm needs sbatch, which is not on this machine's PATH; run it on a login node")


def expected_cores(settings: ClusterConfig) -> int | None:
    """The cores that will work; None where a running cluster must be asked."""
    if settings.name == Launcher.slurm:
        return settings.jobs[1] * settings.threads
    if settings.address or settings.scheduler_file:
        return None
    return (settings.n_workers or available_cores()) * settings.threads


class Connection:
    """A client of a Dask cluster, and the cluster where it is ours.

    Args:
        settings: Which cluster.
        folder: Where jobs write their logs, on a file system that they share with us.

    Raises:
        SemrsmError: No scheduler answers, or the jobs are rejected.
    """

    def __init__(self, settings: ClusterConfig, folder: Path) -> None:
        import dask
        from distributed import Client

        self.settings, self.logs = settings, folder / "logs"
        self._config = dask.config.set(_SETTINGS)
        self._cluster: Any = None
        _silence()
        try:
            with _one_line(settings):
                self._cluster = self._start()
                target = self._cluster or _reachable(settings)
                self.client = Client(target, timeout=CONNECT_S, set_as_default=False)
        except BaseException:
            self.close()
            raise

    def keep(self, units: int) -> None:
        """Let Slurm run as many jobs as there are units to do, within the settings; ended ones are replaced."""
        if self.settings.name == Launcher.slurm:
            least, most = self.settings.jobs
            self._cluster.scale(jobs=max(least, min(most, units)))

    def why_no_worker(self) -> str:
        """What the last job's log says, where Slurm has no job of ours any more; nothing where some may yet begin."""
        if self.settings.name != Launcher.slurm:
            return ""
        jobs = [str(job.job_id) for job in self._cluster.workers.values() if getattr(job, "job_id", None)]
        if not jobs:
            return ""
        queue = subprocess.run(["squeue", "-h", "-o", "%i", "-j", ",".join(jobs)], capture_output=True, text=True)
        if queue.stdout.strip():
            return ""
        logs = sorted(self.logs.glob("*.err"), key=lambda path: path.stat().st_mtime)
        lines = logs[-1].read_text(errors="replace").split("\n") if logs else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "no reason is in their logs")

    def close(self) -> None:
        """Leave a running cluster, end our own and cancel its jobs."""
        for part in (getattr(self, "client", None), self._cluster):
            if part is not None:
                try:
                    part.close()
                except Exception as error:  # whatever a broken connection raises; the jobs end by themselves then
                    logging.getLogger(__name__).info("while closing: %s", error)
        self._config.__exit__(None, None, None)

    def _start(self) -> Any:
        """A cluster of our own, where none is running."""
        settings = self.settings
        if settings.name == Launcher.slurm:
            return _start_slurm(settings, self.logs)
        if settings.address or settings.scheduler_file:
            return None
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=settings.n_workers or available_cores(),
            threads_per_worker=settings.threads + 1,  # one reads and writes while the others compute
            resources={CORES: settings.threads},
            memory_limit=0,
            preload=PRELOAD,
            dashboard_address=_ANY_PORT,
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )


def _start_slurm(settings: ClusterConfig, logs: Path) -> Any:
    """A cluster whose workers are jobs, none of which is submitted yet.

    Raises:
        SemrsmError: Slurm would reject the jobs.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster

    signal.signal(signal.SIGINT, on_interrupt)  # which that import has replaced by an exit that looks like success
    lifetime = max(walltime_seconds(settings.walltime) - _STARTING_S, walltime_seconds(settings.walltime) // 2)
    environment = {
        f"DASK_{key.upper().replace('.', '__').replace('-', '_')}": value for key, value in _SETTINGS.items()
    }
    cluster = SLURMCluster(
        queue=settings.partition,
        account=settings.account,
        cores=settings.threads,
        processes=1,
        memory=f"{settings.bytes}B",
        walltime=settings.walltime,
        interface=settings.interface,
        job_name="semrsm",
        job_extra_directives=list(settings.extra),
        job_script_prologue=[
            *(f"export {name}={value}" for name, value in environment.items()),
            # compiled code stays on the node: many hosts that write one cache at once have crashed numba
            'export NUMBA_CACHE_DIR="${TMPDIR:-/tmp}/semrsm_numba_$(id -u)"',
            *(f"export {name}=1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")),
        ],
        worker_extra_args=[
            *("--nthreads", f"{settings.threads + 1}", "--resources", f"{CORES}={settings.threads}"),
            *("--memory-limit", "0", "--no-dashboard", "--lifetime", f"{lifetime}s"),
        ],
        python=sys.executable,
        local_directory='"${TMPDIR:-/tmp}"',
        log_directory=str(logs),
        scheduler_options={"dashboard_address": _ANY_PORT, "dashboard": False},
        silence_logs=logging.CRITICAL,
    )
    try:
        tried = subprocess.run(
            ["sbatch", "--test-only"], input=cluster.job_script(), capture_output=True, text=True, timeout=CONNECT_S
        )
        complaint = tried.stderr if tried.returncode else ""
    except subprocess.TimeoutExpired:
        complaint = f"sbatch did not answer within {CONNECT_S:.0f} seconds"
    if complaint:
        cluster.close()
        reason = "; ".join(dict.fromkeys(line.split("error: ")[-1].strip() for line in complaint.splitlines() if line))
        raise SemrsmError(f"Slurm rejects the jobs: {reason}; change cluster.partition, account, memory, or extra")
    return cluster


def _reachable(settings: ClusterConfig) -> str:
    """The address of a running scheduler, where something answers.

    Raises:
        OSError: Nothing does.
        ValueError: The scheduler's file is none.
    """
    address = settings.address
    if address is None:
        content = json.loads(Path(str(settings.scheduler_file)).expanduser().read_text(encoding="utf-8"))
        address = str(content["address"]) if isinstance(content, dict) and "address" in content else ""
    host, _, port = address.partition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("it names no address such as tcp://10.0.0.5:8786")
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    return address


def _silence() -> None:
    """Dask's own log lines would come between ours; what concerns a run is said by `Session`."""
    for name in ("distributed", "dask_jobqueue", "tornado", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "dask_jobqueue", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _one_line(settings: ClusterConfig) -> Iterator[None]:
    """Say on one line that a scheduler cannot be reached, or workers cannot be started."""
    try:
        yield
    except SemrsmError:
        raise
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = (text.strip().splitlines() or [type(error).__name__])[0]
        if settings.address or settings.scheduler_file:
            where = settings.address or settings.scheduler_file
            raise SemrsmError(
                f"no Dask scheduler answers at {where} ({reason}); start one with `dask scheduler`, or correct "
                f"cluster.{'address' if settings.address else 'scheduler_file'}"
            ) from error
        raise SemrsmError(f"cluster={settings.name} cannot be started: {reason}") from error
