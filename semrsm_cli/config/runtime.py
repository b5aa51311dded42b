"""The machine that a run may use."""

from dataclasses import dataclass

from semrsm_cli.checks import require_at_least, require_positive
from semrsm_cli.models import Autocast
from semrsm_cli.rsm.threads import available_cores
from semrsm_cli.store import Precision

__all__ = ["RuntimeConfig"]

_MAX_READERS = 8  # processes; more are seldom what a device waits for
_IMAGES_ON_CPU, _IMAGES_ON_DEVICE = 10, 64  # of a pass: each core makes its own, all of a device's units make one
_PASSES_ON_DEVICE = 2  # one is computed while the other is copied back


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """The machine: device, threads, memory, batches."""

    device: str = "cpu"
    """Torch device of the network: cpu, cuda, cuda:1, mps."""
    batch_size: int | None = None
    """Images per forward pass; part of the store's key, since features change with it in the last digits. By default 10
    on a CPU, each of whose cores makes a pass of its own, and 64 elsewhere."""
    num_workers: int | None = None
    """Processes that read images ahead of the network; with 0 the threads that run it read theirs. By default 0 on a
    CPU, and elsewhere one per core, at most 8, so that the device need not wait."""
    threads: int | None = None
    """Threads that match, or run batches through the network; null: one per core that this process may use."""
    memory_gib: float = 4.0
    """Memory that the tiles of an RSM, or the batches in the network, may take together."""
    precision: Precision = Precision.float32
    """How representations are stored."""
    autocast: Autocast = Autocast.none
    """Type in which the network multiplies: `none` (float32), `bfloat16` or `float16`. Faster where the device has
    units for it; features change in their third digit, so that it is part of the store's key."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size", "threads")
        require_at_least(0, self, "num_workers")
        require_positive(self, "memory_gib")

    @property
    def device_kind(self) -> str:
        """The kind of device, whichever of several it is: `cpu`, `cuda`, `mps`."""
        return self.device.partition(":")[0]

    @property
    def images_per_pass(self) -> int:
        """Images of a forward pass: `batch_size`, or what its default means on this device."""
        return self.batch_size or (_IMAGES_ON_CPU if self.device_kind == "cpu" else _IMAGES_ON_DEVICE)

    @property
    def n_readers(self) -> int:
        """Processes that read ahead: `num_workers`, or what its default means on this device."""
        if self.num_workers is not None:
            return self.num_workers
        return 0 if self.device_kind == "cpu" else min(available_cores(), _MAX_READERS)

    @property
    def n_passes(self) -> int:
        """Batches that are in the network at once."""
        return self.threads or (available_cores() if self.device_kind == "cpu" else _PASSES_ON_DEVICE)
