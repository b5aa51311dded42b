"""Chunks of representations: some images through a network into the store, here or on a cluster."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock

import torch
from torch.utils.data import Dataset as TorchDataset

from semrsm_cli.cluster import Session, UnfitWorkerError
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import Images
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.models import Network, capture
from semrsm_cli.models.loading import load_batches
from semrsm_cli.pipeline.networks import Prepare, load_network
from semrsm_cli.store import Writer, chunks_not_seen, holds_chunk

__all__ = ["LOGITS", "ChunkWork", "Prepare", "compute_on_cluster"]

LOGITS = "logits"
_ONE_PASS = RLock()  # the hooks of two passes through one network at once would read each other's outputs
_ROUNDS = 3  # in which chunks that are not seen are asked for
_FILE_SYSTEM_LAG_S = 90.0  # until what one host wrote is seen by another


@dataclass(frozen=True, eq=False)
class ChunkWork:
    """Images through a network into the store, a chunk at a time.

    Attributes:
        writers: Where each layer is written.
        images: The images.
        model: Which layers are read, and how.
        runtime: Batches, processes, device.
        is_normalised_only: Whether the images are cut to size already.
        identity: What the network must be.
        n_threads: Threads of torch, on which the last digits of features may depend.
    """

    writers: Mapping[str, Writer]
    images: Images
    model: ModelConfig
    runtime: RuntimeConfig
    is_normalised_only: bool
    identity: Mapping[str, str]
    n_threads: int

    @cached_property
    def network(self) -> Network:
        """The network, loaded once a process.

        Raises:
            UnfitWorkerError: This machine lacks the device, or has another network of that name.
        """
        try:
            network = load_network(self.model, self.runtime)
        except ConfigError as error:
            raise UnfitWorkerError(str(error)) from error
        different = [name for name, value in self.identity.items() if network.identity.get(name) != value]
        if different:
            raise UnfitWorkerError(f"its {different[0]} of {self.model.label} is another than this run's")
        torch.set_num_threads(self.n_threads)
        return network

    def compute(
        self, chunks: Sequence[int], lacking: Mapping[str, set[int]], network: Network, prepare: Prepare | None = None
    ) -> Iterator[int]:
        """Compute chunks, and write those that layers lack; one forward pass serves all layers. Yields each."""
        layers = [name for name in self.writers if name != LOGITS]
        prepare = prepare or (network.normalise if self.is_normalised_only else network.preprocess)
        for i, batch in zip(chunks, self._batches(prepare, chunks), strict=True):
            with _ONE_PASS:
                captured = capture(network, batch.to(self.runtime.device), layers, cls_token=self.model.cls_token)
            for name in layers:
                if i in lacking[name]:
                    self.writers[name].write(i, captured.representations[name], captured.cnn_grids[name])
            if captured.logits is not None and i in lacking.get(LOGITS, ()):
                self.writers[LOGITS].write(i, captured.logits[:, None, :], None)
            yield i

    def _batches(self, prepare: Prepare, chunks: Sequence[int]) -> Iterator[torch.Tensor]:
        """The prepared images of each chunk."""
        size = self.runtime.batch_size
        rows = [list(range(i * size, min((i + 1) * size, len(self.images)))) for i in chunks]
        return load_batches(_Prepared(self.images, prepare), rows, self.runtime.num_workers)


class _Prepared(TorchDataset[torch.Tensor]):
    """Images as tensors, ready for a network."""

    def __init__(self, images: Images, prepare: Prepare) -> None:
        self.images = images
        self.prepare = prepare

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.prepare(self.images[i])


def compute_on_cluster(
    work: ChunkWork, chunks: Sequence[int], session: Session, advance: Callable[[int], None]
) -> None:
    """Let workers compute chunks, each of which loads the network once.

    Raises:
        SemrsmError: A chunk cannot be computed, or is not seen where it should be.
    """
    left = list(chunks)
    for attempt in range(_ROUNDS):
        for _ in session.map(_compute_chunk, work, left):
            if not attempt:
                advance(1)
        deadline = time.monotonic() + (_FILE_SYSTEM_LAG_S if attempt + 1 == _ROUNDS else _FILE_SYSTEM_LAG_S / 10)
        while left and time.monotonic() < deadline:
            left = [i for i in left if any(chunks_not_seen(writer, [i]) for writer in work.writers.values())]
            time.sleep(0.1 if left else 0)
        if not left:
            return
    raise SemrsmError(
        f"workers have written {len(left)} chunks that this machine does not see in the store; it must lie on a file "
        "system that all share"
    )


def _compute_chunk(work: ChunkWork, i: int, _: int) -> None:
    """Compute a chunk of the layers that lack it."""
    lacking = {name: set() if holds_chunk(writer, i) else {i} for name, writer in work.writers.items()}
    if any(lacking.values()):
        with _ONE_PASS:  # or two threads would load it
            network = work.network
        for _ in work.compute([i], lacking, network):
            pass
