"""The machine that a run may use."""

from dataclasses import dataclass

from semrsm_cli.checks import require_at_least, require_positive
from semrsm_cli.store import Precision

__all__ = ["RuntimeConfig"]


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """The machine: device, threads, memory, batches."""

    device: str = "cpu"
    """Torch device of the network: cpu, cuda, cuda:1, mps."""
    batch_size: int = 20
    """Images per forward pass; part of the store's key, since features change with it in the last digits."""
    num_workers: int = 0
    """Processes that read images ahead of the network; with 0 the threads that run it read theirs."""
    threads: int | None = None
    """Threads that match, or run batches through the network; null: one per core that this process may use."""
    memory_gib: float = 4.0
    """Memory that the tiles of an RSM, or the batches in the network, may take together."""
    precision: Precision = Precision.float32
    """How representations are stored."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size", "threads")
        require_at_least(0, self, "num_workers")
        require_positive(self, "memory_gib")
