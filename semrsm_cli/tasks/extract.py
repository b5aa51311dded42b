"""`semrsm extract`: images through a network into the store; the start of every other task."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from semrsm_cli import data, store
from semrsm_cli.config import (
    Cifar100Config,
    CityscapesConfig,
    DatasetConfig,
    EgoobjectsConfig,
    ExtractConfig,
    FolderConfig,
    ImagenetConfig,
    ModelConfig,
    PhotosConfig,
    RuntimeConfig,
    ScenesConfig,
    TinyImagenetConfig,
)
from semrsm_cli.data import Images
from semrsm_cli.errors import ConfigError
from semrsm_cli.models import Network, capture, load, resolve_layers
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import say, tracked
from semrsm_cli.store import Representation, Writer

__all__ = [
    "Extracted",
    "extract",
    "load_network",
    "note_images",
    "note_network",
    "open_images",
    "represent",
    "require_device",
]

LOGITS = "logits"

Prepare = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True)
class Extracted:
    """Representations of the same images by layer, and the network's logits [n, classes] where it classifies."""

    layers: dict[str, Representation]
    logits: np.ndarray | None


def extract(config: ExtractConfig, folder: RunFolder) -> pd.DataFrame:
    """Store the representations of all wanted layers in one pass; one row a layer."""
    images = draw(open_images(config.dataset), config.n_images, config.seed)
    network = load_network(config.model, config.runtime)
    note_images(folder, images)
    note_network(folder, config.model, network)
    with folder.timed("extract"):
        extracted = represent(network, images, config.model, config.runtime)
    rows = [
        {
            "model": config.model.label,
            "dataset": images.name,
            "layer": layer,
            "images": len(images),
            "positions": stored.shape[1],
            "channels": stored.shape[2],
            "precision": str(config.runtime.precision),
            "key": stored.key,
        }
        for layer, stored in extracted.layers.items()
    ]
    table = pd.DataFrame(rows)
    folder.table("representations", table)
    folder.note(store=str(store.cache_folder()))
    return table


def open_images(config: DatasetConfig) -> Images:
    """The data set that the settings name; says how many broken files it left out."""
    match config:
        case PhotosConfig():
            images = data.photos(regions=config.regions)
        case Cifar100Config():
            images = data.cifar100(config.root, split=config.split).images
        case FolderConfig():
            images = data.folder(config.root, on_error=config.on_error)
        case EgoobjectsConfig():
            images = data.egoobjects_images(config.root, selection_of(config)).images
        case CityscapesConfig():
            images = data.cityscapes_images(config.root, on_error=config.on_error)
        case ScenesConfig(objects=True):
            images = data.scene_objects(store.cache_folder() / "scenes", filming_of(config)).val.images
        case ScenesConfig():
            images = data.scenes_images(store.cache_folder() / "scenes", filming_of(config)).images
        case ImagenetConfig():
            images = data.imagenet(config.root, split=config.split, hub=config.hub, on_error=config.on_error)
        case TinyImagenetConfig():
            images = data.tiny_imagenet(config.root, split=config.split, hub=config.hub, on_error=config.on_error)
        case _:
            raise ConfigError(f"dataset={config.name} is of a kind that no task knows; choose another")
    if images.skipped:
        say(f"{images.name}: skipped {len(images.skipped)} unreadable images, the first is {images.skipped[0]}")
    return images


def selection_of(config: EgoobjectsConfig) -> data.Selection:
    """Which images of EgoObjects are taken."""
    return data.Selection(
        subset=config.subset,
        aspect_ratio=config.aspect_ratio,
        size=(config.width, config.height),
        official_categories=config.official_categories,
    )


def filming_of(config: ScenesConfig) -> data.Filming:
    """How many scenes are made, and how they are filmed."""
    return data.Filming(n_scenes=config.n_scenes, n_videos=config.n_videos, n_frames=config.n_frames)


def draw(images: Images, n: int | None, seed: int) -> Images:
    """`n` of the images, or all of them."""
    return images if n is None else images.draw(n, seed)


def load_network(config: ModelConfig, runtime: RuntimeConfig) -> Network:
    """The network that the settings describe, ready on its device."""
    require_device(runtime.device)
    return load(
        config.source,
        config.name,
        weights=config.weights,
        revision=config.revision,
        options=config.options,
        device=runtime.device,
    )


def require_device(device: str) -> None:
    """Raise ConfigError unless torch can compute there."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"runtime.device={device} is not available: {first_line(error)}; use cpu") from None


def represent(
    network: Network, images: Images, model: ModelConfig, runtime: RuntimeConfig, *, prepare: Prepare | None = None
) -> Extracted:
    """Representations of `images` at the wanted layers, from the store where they are there already.

    `prepare` takes the place of the network's own preprocessing, for images that are cut to size.
    """
    layers = resolve_layers(network, model.layers, model.readout)
    settings = {
        "network": network.identity,
        "readout": str(model.readout),
        "cls_token": str(model.cls_token),
        "prepare": "own" if prepare is None else "normalise",
        "dataset": images.name,
        "content": images.fingerprint(),
    }
    with store.locked(store.digest(settings | {"layers": layers, "ids": images.ids})):
        names = [*layers, LOGITS] if network.n_classes else layers
        writers = {
            name: Writer(
                settings | {"layer": name}, images.ids, chunk=runtime.batch_size, precision=precision_of(name, runtime)
            )
            for name in names
        }
        fill(writers, network, images, prepare or network.preprocess, model, runtime)
        stored = {name: writer.finished() for name, writer in writers.items()}
    logits = stored.pop(LOGITS, None)
    return Extracted(stored, None if logits is None else logits[:][:, 0])


def precision_of(name: str, runtime: RuntimeConfig) -> store.Precision:
    """Logits always stay in float32: predictions are made from them."""
    return store.Precision.float32 if name == LOGITS else runtime.precision


def fill(
    writers: dict[str, Writer],
    network: Network,
    images: Images,
    prepare: Prepare,
    model: ModelConfig,
    runtime: RuntimeConfig,
) -> None:
    """Compute the chunks that are missing; one forward pass serves all layers."""
    n_chunks = next(iter(writers.values())).n_chunks
    todo = [i for i in range(n_chunks) if not all(writer.has(i) for writer in writers.values())]
    layers = [name for name in writers if name != LOGITS]
    if not todo:
        return
    size = runtime.batch_size
    with tracked(f"extract {network.label}", n_chunks, done=n_chunks - len(todo)) as advance:
        for i, batch in zip(todo, batches(images, prepare, todo, size, runtime.loaders), strict=True):
            captured = capture(network, batch.to(runtime.device), layers, cls_token=model.cls_token)
            for name in layers:
                writers[name].write(i, captured.representations[name], captured.cnn_grids[name])
            if LOGITS in writers and captured.logits is not None:
                writers[LOGITS].write(i, captured.logits[:, None, :], None)
            advance(1)


def batches(images: Images, prepare: Prepare, chunks: Sequence[int], size: int, loaders: int) -> Iterator[torch.Tensor]:
    """The prepared images of each chunk."""
    rows = [list(range(i * size, min((i + 1) * size, len(images)))) for i in chunks]
    return iter(DataLoader(Prepared(images, prepare), batch_sampler=rows, num_workers=loaders))


class Prepared(Dataset[torch.Tensor]):
    """Images as tensors, ready for a network."""

    def __init__(self, images: Images, prepare: Prepare) -> None:
        self.images = images
        self.prepare = prepare

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.prepare(self.images[i])


def note_images(folder: RunFolder, images: Images) -> None:
    """Tell run.json which images were used."""
    folder.note(
        n_images=len(images),
        image_ids_hash=store.digest(list(images.ids)),
        images_skipped=len(images.skipped),
        dataset=images.name,
    )


def note_network(folder: RunFolder, model: ModelConfig, network: Network) -> None:
    """Tell run.json which network was used, and what the paper leaves open about it."""
    folder.note(network=dict(network.identity), readout=str(model.readout), cls_token=str(model.cls_token))


def first_line(error: BaseException) -> str:
    """The first line of a library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
