"""What `semrsm correlate` reads: representations and predictions of the same images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.data import ImageOrder
from semrsm_cli.data.arrays import read_array
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.frames import log_unseen, note_share_seen
from semrsm_cli.pipeline.images import note_images, open_images
from semrsm_cli.pipeline.networks import load_network, note_network
from semrsm_cli.pipeline.sources import Source, from_model, read_layer
from semrsm_cli.report.folder import RunFolder

__all__ = ["Predicted", "of_files", "of_model"]

_IMAGES_AT_ONCE = 256
_MIN_IMAGES = 3  # with two there is one pair, which correlates with nothing


@dataclass(frozen=True, eq=False)
class Predicted(Source):
    """A network's layers and its predictions for the same images of a data set: `ids` and `logits` are known.

    `groups` tells which images are related; None where nothing is known of that.
    """

    ids: tuple[str, ...]
    logits: np.ndarray
    dataset: str = ""
    groups: tuple[str, ...] | None = None


def of_model(config: CorrelateConfig, folder: RunFolder) -> Predicted:
    """Layers and predictions from the same forward passes over the images.

    Raises:
        ConfigError: The network does not classify.
        SemrsmError: Fewer than three images, or logits with NaN or infinity.
    """
    images = open_images(config.dataset, config.n_images, config.seed, config.image_order)
    _require_images(len(images), images.name)
    network = load_network(config.model, config.runtime)
    label = config.model.label
    if not network.n_classes:
        raise ConfigError(f"{label} predicts no classes; choose a classifier such as model=resnet18")
    note_images(folder, images)
    note_network(folder, config.model, network)
    log_unseen(network.label, note_share_seen(folder, network, images))
    source = from_model(network, images, config.model, config.runtime, folder)
    assert source.logits is not None
    _require_finite(source.logits, images.ids, f"the logits of {label} on {images.name}")
    return Predicted(label, source.layers, images.ids, source.logits, images.name, images.groups)


def of_files(config: CorrelateConfig, folder: RunFolder) -> Predicted:
    """Layer and predictions in the user's files, in another order where tiles of sigma depend on it.

    Raises:
        SemrsmError: A file cannot be read, they differ in their images, or as `of_model`.
    """
    layer = read_layer(str(config.x))
    logits = np.asarray(read_array(str(config.logits), axes=("n", "classes"), setting="logits")[:])
    n = layer.x.shape[0]
    if n != len(logits):
        raise SemrsmError(
            f"x and logits must be of the same images, got {n} in {config.x} and {len(logits)} in {config.logits}"
        )
    _require_images(n, str(config.x))
    order = np.arange(n)
    if config.sigma_tile is not None and config.image_order is ImageOrder.drawn:
        order = np.random.default_rng(config.seed).permutation(n)
        layer, logits = layer.reorder(order), logits[order]
    ids = tuple(map(str, order))
    _require_finite(layer.x, ids, f"the representations in {config.x}")
    _require_finite(logits, ids, f"the logits in {config.logits}")
    folder.note(n_images=n, x=config.x, logits=config.logits)
    return Predicted(layer.name, (layer,), ids, logits)


def _require_images(n: int, where: str) -> None:
    """Raise unless there are enough images for a correlation over pairs."""
    if n < _MIN_IMAGES:
        raise SemrsmError(f"a correlation over pairs needs at least {_MIN_IMAGES} images, got {n} in {where}")


def _require_finite(values: Any, ids: tuple[str, ...], what: str) -> None:
    """Raise where `values` of the images [n, ...] are NaN or infinite; names the first image."""
    broken: list[str] = []
    for start in range(0, len(ids), _IMAGES_AT_ONCE):
        part = np.asarray(values[start : start + _IMAGES_AT_ONCE])
        finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
        broken += [ids[start + i] for i in np.flatnonzero(~finite)]
    if broken:
        raise SemrsmError(
            f"{what} hold NaN or infinity for {len(broken)} of {len(ids)} images, the first is {broken[0]}; "
            "check the weights and the images"
        )
