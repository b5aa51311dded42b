"""The engine beside its rivals: all in one process, in turn, warm; medians and ranges over rounds.

python benchmarks/engine.py MAPS            # matchings beside OR-Tools, an RSM beside its products, one worker and two
python benchmarks/engine.py MAPS --large 5  # s = 65,536, whose matrix would not fit, on five pairs of photographs

MAPS is a folder for feature maps, which are extracted where it lacks them.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from feature_maps import maps_of, one_core, products

from semrsm_cli.data import photos, resized_squares
from semrsm_cli.matching import Method, match
from semrsm_cli.matching.optimal import compile_all
from semrsm_cli.models import capture, load
from semrsm_cli.rsm import Centered, Centering, compute_center, gram

PAIRS = {49: 8, 256: 8, 1024: 4, 4096: 1}
LARGE = "blocks.0", 512  # a layer of 256 x 256 positions, and the side of the images
LARGE_TOLERANCE = 1e-3
ROUNDS = 5


def compare(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each way in each round, in turn, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(above: list[float], below: list[float]) -> str:
    """Median and range of the ratios, round by round."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def matchings(folder: Path) -> Iterator[str]:
    """A matching of a given affinity, beside OR-Tools on the same pairs."""
    for s, n_pairs in PAIRS.items():
        x = maps_of(folder, s)
        chosen = itertools.combinations(range(0, len(x), max(1, len(x) // 8)), 2)
        affinities = [x[i] @ x[j].T for i, j in itertools.islice(chosen, n_pairs)]
        repeats = max(1, 512 // s)  # so that a round is long enough for the clock

        def ours(given: list[np.ndarray] = affinities, repeats: int = repeats) -> None:
            for affinity in given * repeats:
                match(affinity)

        def theirs(given: list[np.ndarray] = affinities) -> None:
            for affinity in given:
                match(affinity, method=Method.ortools)

        seconds = compare({"ours": ours, "theirs": theirs}, 3 if s == 4096 else ROUNDS)
        one = [value / repeats for value in seconds["ours"]]
        milliseconds = 1e3 * statistics.median(one) / n_pairs
        yield f"s = {s}: {milliseconds:.3f} ms a pair; OR-Tools takes {ratio(seconds['theirs'], one)} times as long"


def whole_rsm(folder: Path) -> Iterator[str]:
    """A symmetric RSM on one thread, beside the products of its pairs alone, a pair or four images at a time."""
    x = maps_of(folder, 256)
    n, s, c = x.shape
    ways = {"rsm": lambda: gram(x, threads=1), "1": lambda: products(x, 1), "4": lambda: products(x, 4)}
    seconds = compare(ways, 3)
    for images in ("1", "4"):
        times = ratio(seconds["rsm"], seconds[images])
        yield f"RSM of {n} images, s = {s}, c = {c}: {times} times its products, by {images} images a side"


def workers(folder: Path) -> Iterator[str]:
    """Pairs a second at s = 49, and how much faster two threads are than one at two sizes."""
    for s in (49, 256):
        x = maps_of(folder, s)
        if s == 49:  # too few images to take long
            x = np.concatenate([x, x[:, ::-1], np.roll(x, 7, axis=1), np.roll(x, 11, axis=1)])
        n_pairs = len(x) * (len(x) - 1) // 2
        seconds = compare({"one": lambda x=x: gram(x, threads=1), "two": lambda x=x: gram(x, threads=2)})
        rate = n_pairs / statistics.median(seconds["two"])
        yield f"s = {s}, c = {x.shape[2]}, {len(x)} images: {rate:,.0f} pairs/s on two threads"
        yield f"  two threads are {ratio(seconds['one'], seconds['two'])} times as fast as one"


def large(n_pairs: int) -> Iterator[str]:
    """Matchings whose matrix would not fit, one after the other on one thread."""
    layer, side = LARGE
    network = load("timm", "tf_efficientnet_lite0")
    images = resized_squares(photos(regions=1), side)
    torch.set_num_threads(1)
    x = np.stack(
        [
            capture(network, network.normalise(images[i])[None], [layer], cls_token="drop").representations[layer][0]
            for i in range(n_pairs + 1)
        ]
    )
    x = Centered(x, compute_center(x, Centering.sample))[0 : len(x)]
    yield f"s = {x.shape[1]}, c = {x.shape[2]}"
    for i in range(n_pairs):
        start = time.perf_counter()
        found = match(None, x=x[i], y=x[i + 1], tolerance=LARGE_TOLERANCE)
        seconds, gap = time.perf_counter() - start, (found.bound - found.value) / abs(found.value)
        yield f"{images.ids[i]} with {images.ids[i + 1]}: {seconds:.1f} s, certified gap {gap:.1e}"


def main() -> None:
    """Print a line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path)
    parser.add_argument(
        "--large", type=int, default=0, help="match so many pairs of 65,536 positions, and nothing else"
    )
    wanted = parser.parse_args()
    compile_all()
    if wanted.large:
        with one_core():
            report(large(wanted.large))
        return
    with one_core():
        report(matchings(wanted.maps))
        report(whole_rsm(wanted.maps))
    report(workers(wanted.maps))


def report(lines: Iterator[str]) -> None:
    """Print lines as they come."""
    for line in lines:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
