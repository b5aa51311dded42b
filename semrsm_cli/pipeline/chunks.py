"""Chunks of representations: some images through a network into the store, here or on a cluster."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock, local
from typing import Self, TypeVar

import torch
from torch.utils.data import Dataset as TorchDataset

from semrsm_cli.cluster import Session, UnfitWorkerError
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import Images
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.models import Capture, Captured, ClsToken, Network
from semrsm_cli.models.loading import load_batches
from semrsm_cli.pipeline.memory import memory_kept, memory_of_process
from semrsm_cli.pipeline.networks import Prepare, load_network
from semrsm_cli.rsm.threads import run as share
from semrsm_cli.store import Writer, chunks_not_seen, holds_chunk

__all__ = ["LOGITS", "ChunkWork", "Passes", "Prepare", "compute_on_cluster", "share_within_memory"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

LOGITS = "logits"
_LOADING = Lock()  # or two threads would load a network
_CHUNKS_A_UNIT = 8
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
    """

    writers: Mapping[str, Writer]
    images: Images
    model: ModelConfig
    runtime: RuntimeConfig
    is_normalised_only: bool
    identity: Mapping[str, str]

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
        return network

    def compute(
        self,
        chunks: Sequence[int],
        lacking: Mapping[str, set[int]],
        network: Network,
        prepare: Prepare | None = None,
        *,
        threads: int = 1,
    ) -> Iterator[int]:
        """Compute chunks, and write those that layers lack; one forward pass serves all layers. Yields each when done.

        A thread computes a whole chunk, from its files to the store, so that the last digits of features do not depend
        on how many there are.
        """
        layers = [name for name in self.writers if name != LOGITS]
        prepare = prepare or (network.normalise if self.is_normalised_only else network.preprocess)
        with Passes(network, layers, cls_token=self.model.cls_token, threads=threads) as run:

            def compute(job: tuple[int, torch.Tensor | None]) -> None:
                i, batch = job
                batch = torch.stack([prepare(self.images[j]) for j in self._rows(i)]) if batch is None else batch
                with own_stream(self.runtime.device):
                    captured = run(batch.to(self.runtime.device, non_blocking=True))
                self._write(i, captured, lacking)

            def try_one() -> None:
                run(prepare(self.images[self._rows(chunks[0])[0]])[None].to(self.runtime.device))

            jobs = zip(chunks, self._read_ahead(prepare, chunks), strict=False)
            # a pass more might change what code of the user's keeps: there the first chunk is the trial
            trial = None if network.is_users_code else Trial(try_one, self.runtime.images_per_pass)
            memory, threads = self.runtime.memory_gib, min(threads, len(chunks))
            for job, _ in share_within_memory(compute, jobs, threads=threads, memory_gib=memory, trial=trial):
                yield job[0]

    def _write(self, i: int, captured: Captured, lacking: Mapping[str, set[int]]) -> None:
        """Write what was captured of a chunk for the layers that lack it."""
        for name, values in captured.representations.items():
            if i in lacking[name]:
                grid = captured.cnn_grids[name]
                patches = captured.grids[name] if grid is None else None
                self.writers[name].write(i, values, grid, patches)
        if captured.logits is not None and i in lacking.get(LOGITS, ()):
            self.writers[LOGITS].write(i, captured.logits[:, None, :], None)

    def _rows(self, i: int) -> range:
        """The images of a chunk."""
        size = self.runtime.images_per_pass
        return range(len(self.images))[i * size : (i + 1) * size]

    def _read_ahead(self, prepare: Prepare, chunks: Sequence[int]) -> Iterator[torch.Tensor | None]:
        """The images of each chunk, prepared by processes of their own; None where whoever computes it reads them."""
        if not self.runtime.n_readers:
            return itertools.repeat(None)
        rows = [list(self._rows(i)) for i in chunks]
        return load_batches(_Prepared(self.images, prepare), rows, self.runtime.n_readers, device=self.runtime.device)


class Passes:
    """Forward passes that several threads make at once, each as `Capture` does it: one for all, or one for each thread.

    Args:
        network: The network.
        layers: Names of modules.
        cls_token: Whether tokens before the patch tokens are dropped or kept.
        threads: How many threads there may be; a single one needs no copies.
    """

    def __init__(self, network: Network, layers: Sequence[str], *, cls_token: ClsToken | str, threads: int) -> None:
        self._network, self._layers, self._cls_token = network, layers, cls_token
        self._is_shared = threads == 1 or not network.is_users_code
        self._of_thread, self._copying, self._open = local(), Lock(), ExitStack()

    def __enter__(self) -> Self:
        if self._is_shared:
            self._one = self._capture(self._network)
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def __call__(self, batch: torch.Tensor) -> Captured:
        """Run the network once over preprocessed images [n, 3, h, w], and read the layers."""
        if self._is_shared:
            return self._one(batch)
        if not hasattr(self._of_thread, "capture"):
            with self._copying:
                self._of_thread.capture = self._capture(self._network.for_thread())
        run: Capture = self._of_thread.capture
        return run(batch)

    def _capture(self, network: Network) -> Capture:
        return self._open.enter_context(Capture(network, self._layers, cls_token=self._cls_token))


@dataclass(frozen=True)
class Trial:
    """Something that takes memory as a job does, but `share` times less."""

    run: Callable[[], None]
    share: int


def share_within_memory(
    compute: Callable[[_Job], _Result],
    jobs: Iterator[_Job],
    *,
    threads: int,
    memory_gib: float,
    trial: Trial | None = None,
) -> Iterator[tuple[_Job, _Result]]:
    """Yield each job with its result; torch has one thread per thread of ours, so that digits do not depend on them.

    How many fit into memory at once is told by the trial, or else by the first job, which then is alone.
    """
    with one_thread_each(), memory_kept():
        before = memory_of_process()
        if threads > 1 and trial is not None:
            trial.run()
        else:
            for job in itertools.islice(jobs, 1):
                yield job, compute(job)
        taken = max(1, memory_of_process() - before) * (1 if trial is None else trial.share)
        yield from share(compute, jobs, max(1, min(threads, int(memory_gib * 2**30 / taken))))


class _Prepared(TorchDataset[torch.Tensor]):
    """Images as tensors, ready for a network."""

    def __init__(self, images: Images, prepare: Prepare) -> None:
        self.images = images
        self.prepare = prepare

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.prepare(self.images[i])


@contextmanager
def own_stream(device: str) -> Iterator[None]:
    """Let what this thread does on a CUDA device wait for nothing of others: copies run beside their computing."""
    if torch.device(device).type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        yield


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch compute with one thread per thread of ours while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compute_on_cluster(
    work: ChunkWork, chunks: Sequence[int], session: Session, advance: Callable[[int], None]
) -> None:
    """Let workers compute chunks, each of which loads the network once.

    Raises:
        SemrsmError: A chunk cannot be computed, or is not seen where it should be.
    """
    left = list(chunks)
    for attempt in range(_ROUNDS):
        for unit, _ in session.map(_compute_chunks, work, _units(left, session.cores)):
            if not attempt:
                advance(len(unit))
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


def _units(chunks: Sequence[int], cores: int) -> list[list[int]]:
    """Chunks by eight, which the threads of a worker share; by fewer where there are not enough for all."""
    size = max(1, min(_CHUNKS_A_UNIT, len(chunks) // (2 * cores)))
    return [list(chunks[start : start + size]) for start in range(0, len(chunks), size)]


def _compute_chunks(work: ChunkWork, chunks: Sequence[int], threads: int) -> None:
    """Compute some chunks of the layers that lack them."""
    lacking = {name: {i for i in chunks if not holds_chunk(writer, i)} for name, writer in work.writers.items()}
    missing = sorted(set().union(*lacking.values()))
    if missing:
        with _LOADING:
            network = work.network
        for _ in work.compute(missing, lacking, network, threads=threads):
            pass
