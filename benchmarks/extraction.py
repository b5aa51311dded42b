"""Time extraction beside plain loops over torch: images a second, from JPEG files to features on disk.

python benchmarks/extraction.py                                   # the embedded EfficientNet-Lite0
python benchmarks/extraction.py --network resnet50 --neighbours 1
python benchmarks/extraction.py --network vit_base_patch16_224 --images 120

All read the last hidden layer of the same network in one process, in turn, on the cores that this process may use; the
weights are random but for EfficientNet-Lite0. `loop` is what tutorials write, the others are its best settings:
channels last, processes that read ahead, a batch a thread. `--neighbours` keeps so many programs busy beside it.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data.folder import Folder
from semrsm_cli.data.photographs import photograph
from semrsm_cli.models import Network, Source, load
from semrsm_cli.models.efficientnet_lite0 import NAME as EMBEDDED
from semrsm_cli.pipeline.networks import load_network
from semrsm_cli.pipeline.represent import represent
from semrsm_cli.rsm.threads import available_cores

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
SIZE = (500, 375)  # of most pictures of ImageNet
OURS = "semrsm"
BUSY = "x = 0\nwhile True:\n    x += 1"


def write_pictures(folder: Path, n: int) -> list[Path]:
    """JPEGs of ImageNet's size: regions of photographs, enlarged or made smaller."""
    rng = np.random.default_rng(0)
    photographs = [Image.open(photograph(name)).convert("RGB") for name in PHOTOGRAPHS]
    paths = [folder / f"{i:05d}.jpg" for i in range(n)]
    for path, picture in zip(paths, itertools.cycle(photographs), strict=False):
        width = int(rng.integers(200, picture.width))
        height = min(picture.height, width * SIZE[1] // SIZE[0])
        left, upper = (
            int(rng.integers(0, extent - side + 1)) for extent, side in zip(picture.size, (width, height), strict=True)
        )
        region = picture.crop((left, upper, left + width, upper + height))
        region.resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=95)
    return paths


class Pictures(Dataset[torch.Tensor]):
    """Files as tensors, ready for a network."""

    def __init__(self, network: Network, paths: list[Path]) -> None:
        self.network, self.paths = network, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.paths[i]) as picture:
            return self.network.preprocess(picture.convert("RGB"))


class Features:
    """The last hidden layer of a network by a hook, in whichever threads."""

    def __init__(self, network: Network, *, channels_last: bool) -> None:
        self.network, self.seen = network, threading.local()
        self.layout = torch.channels_last if channels_last and network.is_cnn else torch.contiguous_format

    def __call__(self, batch: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            self.network.module(batch.contiguous(memory_format=self.layout))
        output: torch.Tensor = self.seen.output
        return (output.permute(0, 2, 3, 1) if output.dim() == 4 else output).contiguous().numpy()

    @contextmanager
    def hooked(self, threads: int) -> Iterator["Features"]:
        """Read while the block runs, with so many threads of torch."""
        layer = self.network.module.get_submodule(self.network.last("after_norm"))
        hook = layer.register_forward_hook(lambda _module, _inputs, output: setattr(self.seen, "output", output))
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield self
        finally:
            hook.remove()
            torch.set_num_threads(before)


def loop(pictures: Pictures, batch: int, *, channels_last: bool, readers: int, threads: int) -> np.ndarray:
    """One batch after the other; torch's threads share each of its operations."""
    with Features(pictures.network, channels_last=channels_last).hooked(threads) as features:
        return np.concatenate([features(images) for images in DataLoader(pictures, batch, num_workers=readers)])


def pool(pictures: Pictures, batch: int) -> np.ndarray:
    """A batch for each core, from its files to its features, with one thread of torch."""
    rows = [range(len(pictures))[start : start + batch] for start in range(0, len(pictures), batch)]
    with (
        Features(pictures.network, channels_last=True).hooked(1) as features,
        ThreadPoolExecutor(available_cores()) as ex,
    ):
        return np.concatenate(list(ex.map(lambda row: features(torch.stack([pictures[i] for i in row])), rows)))


def semrsm(network: Network, folder: Path, cache: Path, model: ModelConfig, runtime: RuntimeConfig) -> np.ndarray:
    """What `semrsm extract` does, from opening the folder to features in the store."""
    os.environ["SEMRSM_CACHE"] = str(cache)
    images = Folder(root=str(folder)).images(cache)
    (stored,) = represent(network, images, model, runtime).layers.values()
    return np.asarray(stored[:1])


@contextmanager
def neighbours(n: int) -> Iterator[None]:
    """Programs that keep cores busy while the block runs."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n)]
    try:
        yield
    finally:
        for program in busy:
            program.kill()
            program.wait()


def main() -> None:
    """Print images a second of each way, and how ours compares with the fastest of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=EMBEDDED, help="a network of timm")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--neighbours", type=int, default=0)
    parser.add_argument("--ways", default="", help="only those whose names hold one of these words, and semrsm")
    wanted = parser.parse_args()
    weights = "pretrained" if wanted.network == EMBEDDED else "random"
    model = ModelConfig(label=wanted.network, source=Source.timm, name=wanted.network, weights=weights)
    runtime = RuntimeConfig()
    network = load_network(model, runtime)
    cores = available_cores()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        plain = load(model.source, model.name, weights=weights)  # as it comes, with its batch norms
        pictures = Pictures(plain, write_pictures(folder, wanted.images))
        ways: dict[str, Callable[[], np.ndarray]] = {
            "loop, 1 thread": lambda: loop(pictures, 32, channels_last=False, readers=0, threads=1),
            "loop": lambda: loop(pictures, 32, channels_last=False, readers=0, threads=cores),
            "loop, channels last": lambda: loop(pictures, 32, channels_last=True, readers=0, threads=cores),
            "loop, channels last, readers": lambda: loop(pictures, 32, channels_last=True, readers=2, threads=cores),
            "pool, batches of 20": lambda: pool(pictures, 20),
            "pool, batches of 8": lambda: pool(pictures, 8),
        }
        words = [word for word in wanted.ways.split("+") if word]
        ways = {name: way for name, way in ways.items() if not words or any(word in name for word in words)}
        caches = iter(Path(place) / f"cache{i}" for i in itertools.count())  # a new one each time
        ways[OURS] = lambda: semrsm(network, folder, next(caches), model, runtime)
        with neighbours(wanted.neighbours):
            rates = images_a_second(ways, wanted.images, wanted.rounds, Path(place) / "features.npy")
    report([f"{wanted.network}, {wanted.images} JPEGs, {cores} cores, {wanted.neighbours} busy programs beside"])
    report(f"{name:28} {spread(values, 1)} images/s" for name, values in rates.items())
    ratios = [ours / max(rates[name][i] for name in ways if name != OURS) for i, ours in enumerate(rates[OURS])]
    report([f"semrsm / the fastest of the others, round by round: {spread(ratios, 2)}"])


def images_a_second(
    ways: dict[str, Callable[[], np.ndarray]], n: int, rounds: int, saved: Path
) -> dict[str, list[float]]:
    """The rates of each way in each round, after one that warms up; features of the others are saved too."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            features = way()
            if name != OURS:
                np.save(saved, features)
            if i:
                rates[name].append(n / (time.perf_counter() - start))
    return rates


def spread(values: list[float], digits: int) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(lines: Iterable[str]) -> None:
    """Print lines."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
