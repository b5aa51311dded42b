"""Where a run's units of work are computed: by threads of this process, or by workers of a Dask cluster."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from semrsm_cli.checks import require, require_at_least

__all__ = ["ClusterConfig", "Launcher", "memory_bytes", "walltime_seconds"]

_MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(i?)B?")
_WALLTIME = re.compile(r"(?:(?P<d>\d+)-)?(?P<h>\d+):(?P<m>\d\d)(?::(?P<s>\d\d))?")
_ADDRESS = re.compile(r"[a-z]+://.+:\d+")
_OF_DASK = ("address", "scheduler_file", "n_workers")
_OF_SLURM = ("nodes", "least", "most", "memory", "walltime", "partition", "account", "interface", "extra")


class Launcher(StrEnum):
    """Threads of this process, a Dask cluster, or jobs of Slurm that form one."""

    local = "local"
    dask = "dask"
    slurm = "slurm"


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Where tiles of RSMs are matched and images go through the network.

    Raises:
        ValueError: If settings contradict each other, or are out of range.

    Example:
        >>> ClusterConfig(name="dask", n_workers=2).n_workers
        2
    """

    name: Launcher = Launcher.local
    """`local` (threads), `dask` (a running cluster, or workers on this machine) or `slurm` (jobs); results are the
    same."""
    address: str | None = None
    """Dask: a running scheduler, such as tcp://10.0.0.5:8786."""
    scheduler_file: str | None = None
    """Dask: the file that a running scheduler wrote with --scheduler-file."""
    n_workers: int | None = None
    """Dask: workers to start on this machine; null: one a core."""
    cores: int | None = None
    """Threads of each worker that is started; null: 1 for dask, and 4 for slurm."""
    nodes: int | None = None
    """Slurm: jobs, each with one worker; null: 1."""
    least: int | None = None
    """Slurm, in place of nodes: jobs that are kept to the end."""
    most: int | None = None
    """Slurm, in place of nodes: jobs while there is work for so many."""
    memory: str | None = None
    """Slurm: memory of a job, such as 64GiB; null: 2GiB a core."""
    walltime: str = "1:00:00"
    """Slurm: time of a job, hours:minutes:seconds or days-hours:minutes; when it ends, another takes its place."""
    partition: str | None = None
    """Slurm: partition."""
    account: str | None = None
    """Slurm: account that pays."""
    interface: str | None = None
    """Slurm: network interface through which nodes reach this machine, such as ib0."""
    extra: list[str] = field(default_factory=list)
    """Slurm: more options of sbatch, such as ["--gres=gpu:1"]."""

    def __post_init__(self) -> None:
        require(self.name in set(Launcher), f"name must be one of {', '.join(Launcher)}, got {self.name}")
        require_at_least(1, self, "n_workers", "cores", "nodes", "most")
        require_at_least(0, self, "least")
        for name, of_engine in (("dask", _OF_DASK), ("slurm", _OF_SLURM)):
            for setting in of_engine:
                is_given = getattr(self, setting) not in (None, [], type(self).walltime)
                require(not is_given or self.name == name, f"{setting} is a setting of cluster={name}; give that too")
        given = [setting for setting in _OF_DASK if getattr(self, setting) is not None]
        require(len(given) < 2, f"{' and '.join(given)} exclude each other; give one of them")
        require(
            self.address is None or bool(_ADDRESS.fullmatch(self.address)),
            f"address must be protocol://host:port, such as tcp://10.0.0.5:8786, got {self.address}",
        )
        require((self.least is None) == (self.most is None), "least and most belong together; give both or neither")
        require(self.most is None or self.nodes is None, "nodes excludes least and most; give the one or the others")
        if self.least is not None and self.most is not None:
            require(self.least <= self.most, f"least must be at most most={self.most}, got {self.least}")
        if self.memory is not None:
            memory_bytes(self.memory)
        walltime_seconds(self.walltime)

    @property
    def threads(self) -> int:
        """Threads of each worker that is started."""
        return self.cores or (4 if self.name == Launcher.slurm else 1)

    @property
    def jobs(self) -> tuple[int, int]:
        """Jobs of Slurm at least, and at most."""
        if self.least is not None and self.most is not None:
            return self.least, self.most
        return self.nodes or 1, self.nodes or 1

    @property
    def bytes(self) -> int:
        """Memory of a job of Slurm."""
        return self.threads * 2 * 2**30 if self.memory is None else memory_bytes(self.memory)


def memory_bytes(text: str) -> int:
    """The bytes that `64GiB`, `64G` or `64GB` means: for Slurm these are all the same."""
    size = _MEMORY.fullmatch(text.strip())
    if size is None:
        raise ValueError(f"memory must be a number and K, M, G or T, such as 64GiB, got {text}")
    return int(float(size[1]) * 2 ** (10 * ("KMGT".index(size[2]) + 1)))


def walltime_seconds(text: str) -> int:
    """The seconds that `8:00:00`, `8:00` (hours and minutes) or `2-12:00` (days, hours, minutes) means."""
    time = _WALLTIME.fullmatch(text.strip())
    seconds = 0
    if time is not None:
        days, hours, minutes, rest = (int(part or 0) for part in time.groups())
        seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if seconds <= 0:
        raise ValueError(f"walltime must be hours:minutes:seconds or days-hours:minutes, such as 8:00:00, got {text}")
    return seconds
