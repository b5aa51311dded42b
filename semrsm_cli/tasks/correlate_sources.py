"""What `semrsm correlate` reads: representations and predictions of the same images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.data.arrays import content_of, read_array
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Representations
from semrsm_cli.tasks.extract import draw, load_network, note_images, note_network, open_images, represent

__all__ = ["Layer", "Predicted", "given", "of_model"]

IMAGES_AT_ONCE = 256
FEWEST_IMAGES = 3  # with two there is one pair, which correlates with nothing


@dataclass(frozen=True)
class Layer:
    """Concept vectors [n, s, c] of one layer; `key` tells their content apart from any other."""

    name: str
    x: Representations
    key: str
    grid: tuple[int, int] | None


@dataclass(frozen=True)
class Predicted:
    """What a network makes of n images: its layers, and logits [n, classes]."""

    model: str
    dataset: str
    ids: tuple[str, ...]
    layers: list[Layer]
    logits: np.ndarray


def of_model(config: CorrelateConfig, folder: RunFolder) -> Predicted:
    """Layers and predictions from the same forward passes over the images.

    Raises:
        ConfigError: The network does not classify.
        SemrsmError: Fewer than three images, or logits with NaN or infinity.
    """
    images = draw(open_images(config.dataset), config.n_images, config.seed)
    require_images(len(images), images.name)
    network = load_network(config.model, config.runtime)
    label = config.model.label
    if not network.n_classes:
        raise ConfigError(f"{label} predicts no classes; choose a classifier such as model=resnet18")
    note_images(folder, images)
    note_network(folder, config.model, network)
    with folder.timed("extract"):
        extracted = represent(network, images, config.model, config.runtime)
    assert extracted.logits is not None
    require_finite(extracted.logits, images.ids, f"the logits of {label} on {images.name}")
    layers = [Layer(name, stored, stored.key, stored.grid) for name, stored in extracted.layers.items()]
    return Predicted(label, images.name, images.ids, layers, extracted.logits)


def given(config: CorrelateConfig, folder: RunFolder) -> Predicted:
    """Layer and predictions in the user's files.

    Raises:
        SemrsmError: A file cannot be read, they differ in their images, or as `of_model`.
    """
    x = read_array(str(config.x))
    logits = np.asarray(read_array(str(config.logits), axes=("n", "classes"))[:])
    n = x.shape[0]
    if n != len(logits):
        raise SemrsmError(
            f"x and logits must be of the same images, got {n} in {config.x} and {len(logits)} in {config.logits}"
        )
    require_images(n, str(config.x))
    ids = tuple(map(str, range(n)))
    require_finite(x, ids, f"the representations in {config.x}")
    require_finite(logits, ids, f"the logits in {config.logits}")
    name = Path(str(config.x).split("#")[0]).stem
    folder.note(n_images=n, x=config.x, logits=config.logits)
    return Predicted(name, "", ids, [Layer(name, x, content_of(x), None)], logits)


def require_images(n: int, where: str) -> None:
    """Raise unless there are enough images for a correlation over pairs."""
    if n < FEWEST_IMAGES:
        raise SemrsmError(f"a correlation over pairs needs at least {FEWEST_IMAGES} images, got {n} in {where}")


def require_finite(values: Any, ids: tuple[str, ...], what: str) -> None:
    """Raise where `values` of the images [n, ...] are NaN or infinite; names the first image."""
    broken: list[str] = []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        part = np.asarray(values[start : start + IMAGES_AT_ONCE])
        finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
        broken += [ids[start + i] for i in np.flatnonzero(~finite)]
    if broken:
        raise SemrsmError(
            f"{what} hold NaN or infinity for {len(broken)} of {len(ids)} images, the first is {broken[0]}; "
            "check the weights and the images"
        )
