"""What `semrsm correlate` reads: representations and predictions of the same images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.data.arrays import content_of, read_array
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.measures.agreement import softmax
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm.centering import Representations
from semrsm_cli.tasks.extract import draw, load_network, note_images, note_network, open_images, represent

__all__ = ["Layer", "Predicted", "given", "of_model"]

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
    """What a network makes of n images: its layers, and class probabilities [n, classes] in float64."""

    model: str
    dataset: str
    ids: tuple[str, ...]
    layers: list[Layer]
    probabilities: np.ndarray


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
    layers = [Layer(name, stored, stored.key, stored.grid) for name, stored in extracted.layers.items()]
    probabilities = probabilities_of(extracted.logits, images.ids, f"{label} on {images.name}")
    return Predicted(label, images.name, images.ids, layers, probabilities)


def given(config: CorrelateConfig, folder: RunFolder) -> Predicted:
    """Layer and predictions in the user's files.

    Raises:
        SemrsmError: A file cannot be read, they differ in their images, or as `of_model`.
    """
    x = read_array(str(config.x))
    logits = read_array(str(config.logits), axes=("n", "classes"))
    n = x.shape[0]
    if n != logits.shape[0]:
        raise SemrsmError(
            f"x and logits must be of the same images, got {n} in {config.x} and {logits.shape[0]} in {config.logits}"
        )
    require_images(n, str(config.x))
    ids = tuple(map(str, range(n)))
    probabilities = probabilities_of(np.asarray(logits[:]), ids, str(config.logits))
    name = Path(str(config.x).split("#")[0]).stem
    folder.note(n_images=n, x=config.x, logits=config.logits)
    return Predicted(name, "", ids, [Layer(name, x, content_of(x), None)], probabilities)


def require_images(n: int, where: str) -> None:
    """Raise unless there are enough images for a correlation over pairs."""
    if n < FEWEST_IMAGES:
        raise SemrsmError(f"a correlation over pairs needs at least {FEWEST_IMAGES} images, got {n} in {where}")


def probabilities_of(logits: np.ndarray, ids: tuple[str, ...], where: str) -> np.ndarray:
    """Class probabilities; an error names the first image without."""
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        raise SemrsmError(
            f"the logits of {where} hold NaN or infinity for {broken.size} of {len(ids)} images, "
            f"the first is {ids[broken[0]]}; check the weights and the images"
        )
    return softmax(logits)
