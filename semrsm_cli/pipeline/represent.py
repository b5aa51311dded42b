"""Images through a network into the store; what is there already is not computed again."""

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from semrsm_cli import cluster, store
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import Images
from semrsm_cli.models import Network, resolve_layers
from semrsm_cli.pipeline.chunks import LOGITS, ChunkWork, Prepare, compute_on_cluster
from semrsm_cli.report.progress import tracked
from semrsm_cli.stages import versions_of
from semrsm_cli.store import Precision, Representation, Writer

__all__ = ["Extracted", "Prepare", "represent"]


@dataclass(frozen=True)
class Extracted:
    """Representations of the same images by layer, and the network's logits [n, classes] where it classifies."""

    layers: dict[str, Representation]
    logits: np.ndarray | None


def represent(
    network: Network, images: Images, model: ModelConfig, runtime: RuntimeConfig, *, prepare: Prepare | None = None
) -> Extracted:
    """Representations of `images` at the layers that the settings name.

    Args:
        network: The network.
        images: The images.
        model: Which layers are read, and how.
        runtime: Batches, processes, precision.
        prepare: Takes the place of the network's own preprocessing, for images that are cut to size.

    Raises:
        SemrsmError: The network has no such layer, or an image cannot be read.
    """
    layers = resolve_layers(network, model.layers, model.readout)
    settings = {
        "network": network.identity,
        "device": runtime.device_kind,  # whose kernels round in their own way
        "readout": str(model.readout),
        "cls_token": str(model.cls_token),
        "prepare": "own" if prepare is None else "normalise",
        "dataset": images.name,
        "content": images.fingerprint(),
        "stages": versions_of("images", "representations"),
    }
    names = [*layers, LOGITS] if network.n_classes else layers
    writers = {
        name: Writer(
            settings | {"layer": name}, images.ids, chunk=runtime.images_per_pass, precision=_precision(name, runtime)
        )
        for name in names
    }
    if not all(writer.is_complete() for writer in writers.values()):  # else nothing is written: it may be read-only
        with ExitStack() as locks:
            for key in sorted(writer.key for writer in writers.values()):  # in one order, or two runs wait forever
                locks.enter_context(store.locked(key))
            for writer in writers.values():
                writer.tidy()
            work = ChunkWork(writers, images, model, runtime, prepare is not None, network.identity)
            _fill(work, network, prepare)
    stored = {name: writer.finished() for name, writer in writers.items()}
    logits = stored.pop(LOGITS, None)
    return Extracted(stored, None if logits is None else logits[:][:, 0])


def _precision(name: str, runtime: RuntimeConfig) -> Precision:
    """Logits always stay in float32: predictions are made from them."""
    return Precision.float32 if name == LOGITS else runtime.precision


def _fill(work: ChunkWork, network: Network, prepare: Prepare | None) -> None:
    """Compute the chunks that are missing, here or on a cluster."""
    writers = work.writers
    n_chunks = next(iter(writers.values())).n_chunks
    lacking = {name: set(writer.missing()) for name, writer in writers.items()}
    missing = sorted(set().union(*lacking.values()))
    session = cluster.current()
    status = None if session is None else session.status
    with tracked(f"extract {network.label}", n_chunks, done=n_chunks - len(missing), status=status) as advance:
        if session is not None:
            compute_on_cluster(work, missing, session, advance)
            return
        for _ in work.compute(missing, lacking, network, prepare, threads=work.runtime.n_passes):
            advance(1)
