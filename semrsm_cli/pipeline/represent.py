"""Images through a network into the store; what is there already is not computed again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from semrsm_cli import store
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import Images
from semrsm_cli.models import Network, capture, resolve_layers
from semrsm_cli.models.loading import load_batches
from semrsm_cli.report.progress import tracked
from semrsm_cli.stages import versions_of
from semrsm_cli.store import Precision, Representation, Writer

__all__ = ["Extracted", "Prepare", "represent"]

_LOGITS = "logits"

Prepare = Callable[[Image.Image], torch.Tensor]


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
        "readout": str(model.readout),
        "cls_token": str(model.cls_token),
        "prepare": "own" if prepare is None else "normalise",
        "dataset": images.name,
        "content": images.fingerprint(),
        "stages": versions_of("images", "representations"),
    }
    names = [*layers, _LOGITS] if network.n_classes else layers
    writers = {
        name: Writer(
            settings | {"layer": name}, images.ids, chunk=runtime.batch_size, precision=_precision(name, runtime)
        )
        for name in names
    }
    if not all(writer.is_complete() for writer in writers.values()):  # else nothing is written: it may be read-only
        with ExitStack() as locks:
            for key in sorted(writer.key for writer in writers.values()):  # in one order, or two runs wait forever
                locks.enter_context(store.locked(key))
            for writer in writers.values():
                writer.tidy()
            _fill(writers, network, images, prepare or network.preprocess, model, runtime)
    stored = {name: writer.finished() for name, writer in writers.items()}
    logits = stored.pop(_LOGITS, None)
    return Extracted(stored, None if logits is None else logits[:][:, 0])


def _precision(name: str, runtime: RuntimeConfig) -> Precision:
    """Logits always stay in float32: predictions are made from them."""
    return Precision.float32 if name == _LOGITS else runtime.precision


def _fill(
    writers: dict[str, Writer],
    network: Network,
    images: Images,
    prepare: Prepare,
    model: ModelConfig,
    runtime: RuntimeConfig,
) -> None:
    """Compute the chunks that are missing; one forward pass serves all layers."""
    n_chunks = next(iter(writers.values())).n_chunks
    lacking = {name: set(writer.missing()) for name, writer in writers.items()}
    missing = sorted(set().union(*lacking.values()))
    layers = [name for name in writers if name != _LOGITS]
    batches = _batches(images, prepare, missing, runtime)
    with tracked(f"extract {network.label}", n_chunks, done=n_chunks - len(missing)) as advance:
        for i, batch in zip(missing, batches, strict=True):
            captured = capture(network, batch.to(runtime.device), layers, cls_token=model.cls_token)
            for name in layers:
                if i in lacking[name]:
                    writers[name].write(i, captured.representations[name], captured.cnn_grids[name])
            if captured.logits is not None and i in lacking.get(_LOGITS, ()):
                writers[_LOGITS].write(i, captured.logits[:, None, :], None)
            advance(1)


def _batches(images: Images, prepare: Prepare, chunks: Sequence[int], runtime: RuntimeConfig) -> Iterator[torch.Tensor]:
    """The prepared images of each chunk."""
    size = runtime.batch_size
    rows = [list(range(i * size, min((i + 1) * size, len(images)))) for i in chunks]
    return load_batches(_Prepared(images, prepare), rows, runtime.num_workers)


class _Prepared(TorchDataset[torch.Tensor]):
    """Images as tensors, ready for a network."""

    def __init__(self, images: Images, prepare: Prepare) -> None:
        self.images = images
        self.prepare = prepare

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.prepare(self.images[i])
