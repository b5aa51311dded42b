"""Real maps: EfficientNet-Lite0 at 512 px on regions of photographs, features centred over the samples."""

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from semrsm_cli.data import photos, resized_squares
from semrsm_cli.models import ClsToken, capture, load
from semrsm_cli.rsm import Centered, Centering, compute_center

LAYER_OF = {256: "blocks.6", 1024: "blocks.4", 4096: "blocks.2", 16384: "blocks.1"}
IMAGES_OF = {256: 100, 1024: 30, 4096: 10, 16384: 4}
SIZE = 512
REGIONS = 9  # of each of twelve photographs


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """BLAS with one thread and this process on one core, as in the paper's Table 5."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    with threadpool_limits(1):
        yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture(scope="session")
def maps(request: pytest.FixtureRequest) -> Callable[[int], np.ndarray]:
    """Representations [n, s, c] by their number of positions; computed once, then kept in pytest's cache folder."""
    folder = Path(request.config.cache.mkdir("maps"))  # type: ignore[union-attr]

    def of_positions(s: int) -> np.ndarray:
        path = folder / f"{LAYER_OF[s]}_{SIZE}_{REGIONS}.npy"
        if not path.exists():
            extract(folder)
        return np.load(path)

    return of_positions


def extract(folder: Path) -> None:
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


@pytest.fixture
def facts(benchmark: Any) -> Callable[..., None]:
    """Note what a reader of the numbers has to know."""

    def note(**more: Any) -> None:
        packages = ("numpy", "numba", "scipy", "ortools", "lapjv", "lapx", "lapcpp")
        benchmark.extra_info.update(more, threads=1, python=platform.python_version())
        benchmark.extra_info.update({name: version(name) for name in packages})

    return note
