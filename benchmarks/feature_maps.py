"""Real maps: EfficientNet-Lite0 at 512 px on regions of photographs, features centred over the samples."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from semrsm_cli.data import photos, resized_squares
from semrsm_cli.models import ClsToken, capture, load
from semrsm_cli.rsm import Centered, Centering, compute_center

__all__ = ["maps_of", "one_core", "products"]

LAYER_OF = {256: "blocks.6", 1024: "blocks.4", 4096: "blocks.2", 16384: "blocks.1"}
IMAGES_OF = {256: 100, 1024: 30, 4096: 10, 16384: 4}
SIZE = 512
REGIONS = 9  # of each of twelve photographs


def maps_of(folder: Path, s: int) -> np.ndarray:
    """Representations [n, s, c], extracted where the folder lacks them; 7 x 7 maps are cut out of larger ones."""
    path = folder / f"{LAYER_OF[256 if s == 49 else s]}_{SIZE}_{REGIONS}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _extract(folder)
    x = np.load(path)
    if s == 49:
        x = x.reshape(len(x), 16, 16, -1)[:, 4:11, 4:11].reshape(len(x), 49, -1)
    return np.ascontiguousarray(x)


def _extract(folder: Path) -> None:
    """Write the maps of all layers."""
    torch.set_num_threads(1)
    network = load("timm", "tf_efficientnet_lite0")
    images = resized_squares(photos(regions=REGIONS), SIZE)
    found: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYER_OF.values()}
    for i in range(max(IMAGES_OF.values())):
        one = capture(network, network.normalise(images[i])[None], list(found), cls_token=ClsToken.drop)
        for s, layer in LAYER_OF.items():
            if i < IMAGES_OF[s]:
                found[layer].append(one.representations[layer][0])
    for layer, parts in found.items():
        x = np.stack(parts)
        centred = Centered(x, compute_center(x, Centering.sample))[0 : len(x)]
        np.save(folder / f"{layer}_{SIZE}_{REGIONS}.npy", centred)


def products(x: np.ndarray, images: int) -> None:
    """Multiply the pairs of images of x [n, s, c] once, a block of so many images a side at a time."""
    rows, edge = x.reshape(-1, x.shape[2]), images * x.shape[1]
    out = np.empty((edge, edge), np.float32)
    for i in range(0, len(rows), edge):
        for j in range(i, len(rows), edge):
            np.matmul(rows[i : i + edge], rows[j : j + edge].T, out=out)


@contextmanager
def one_core() -> Iterator[None]:
    """BLAS with one thread and this process on one core, as in the paper's Table 5."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    with threadpool_limits(1):
        yield
    os.sched_setaffinity(0, allowed)
