"""Time the RSMs of a retrieval on made-up features: every kernel, without and with permutation invariance.

python benchmarks/retrieval_at_size.py                                  # 200 x 1,000 images, s = 49, c = 768
python benchmarks/retrieval_at_size.py --queries 2000 --database 5000   # the paper's numbers of images
python benchmarks/retrieval_at_size.py --queries 2000 --database 100000 --channels 320 --shortlist 100

With a shortlist the features are put into the store ($SEMRSM_CACHE) as float16, and ranked as `semrsm retrieve` does.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from semrsm_cli.config import RetrieveConfig, RuntimeConfig
from semrsm_cli.data import Images, LabelledImages, RetrievalSet
from semrsm_cli.matching import Method
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Centered, Centering, Invariance, Kernel, Matcher, compute_center, estimate_cost, gram, kernel
from semrsm_cli.store.representations import Precision, Writer
from semrsm_cli.tasks.retrieve.ranking import Embedded, rank

PROTOTYPES = 200
CHUNK = 64  # images that are made, and stored, at once


def made_up(n: int, s: int, c: int, seed: int) -> np.ndarray:
    """Images [n, s, c] of a few things each: every position shows one of the image's six prototypes, with noise."""
    rng = np.random.default_rng(seed)
    things = np.random.default_rng(0).normal(size=(PROTOTYPES, c)).astype(np.float32)
    kinds = rng.integers(PROTOTYPES, size=(n, 6))
    shown = kinds[np.arange(n)[:, None], rng.integers(6, size=(n, s))]
    return things[shown] + rng.normal(size=(n, s, c)).astype(np.float32)


def store_side(name: str, n: int, s: int, c: int, first_seed: int) -> tuple[Layer, LabelledImages]:
    """One side of a retrieval in the store, chunk by chunk, and its images, which have no pictures."""
    ids = tuple(f"{name}_{i:06d}" for i in range(n))
    writer = Writer({"made_up": name, "layer": "made_up"}, ids, chunk=CHUNK, precision=Precision.float16)
    for i in writer.missing():
        writer.write(i, made_up(min(CHUNK, n - i * CHUNK), s, c, first_seed + i), None)
    stored = writer.finished()
    images = Images(name, ids, ids, None)  # type: ignore[arg-type]
    return Layer(name, stored, stored.key), LabelledImages(images, (), None, ids, ("",) * n)


def rank_shortlist(wanted: argparse.Namespace) -> None:
    """Time what `semrsm retrieve` does with a shortlist, from features in the store to neighbours."""
    start = time.perf_counter()
    size = wanted.positions, wanted.channels
    (x, queries), (y, database) = (
        store_side(name, n, *size, seed)
        for name, n, seed in (("query", wanted.queries, 2**20), ("database", wanted.database, 0))
    )
    sys.stdout.write(f"features made and stored, not counted: {time.perf_counter() - start:.1f} s\n")
    images = RetrievalSet("made-up", queries, database, None)
    config = RetrieveConfig(
        invariances=[Invariance(name) for name in wanted.invariances],
        matching=Matcher(method=Method(wanted.method)),
        runtime=RuntimeConfig(threads=wanted.threads),
        shortlist=wanted.shortlist,
    )
    start, own = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        embedded = Embedded.of(None, x, y, Centering.sample)  # type: ignore[arg-type]
        sys.stdout.write(f"centre of the database: {time.perf_counter() - start:.1f} s\n")
        for ranking in rank(images, embedded, config, RunFolder(Path(folder), command=[])):
            sys.stdout.write(
                f"{ranking.invariance}, {ranking.kernel}: neighbours {ranking.neighbours.shape} after "
                f"{time.perf_counter() - start:.1f} s\n"
            )
    wall, cpu = time.perf_counter() - start, time.process_time() - own
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    sys.stdout.write(f"in all: {wall:.1f} s, {cpu:.1f} s of processors, peak {peak:.2f} GiB; load {load}\n")


def main() -> None:
    """Run the benchmark once and write one line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("queries", 200), ("database", 1000), ("positions", 49), ("channels", 768)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--method", default="optimal")
    parser.add_argument("--shortlist", type=int)
    parser.add_argument("--invariances", nargs="+", default=["permutation"], help="with a shortlist")
    wanted = parser.parse_args()
    if wanted.shortlist:
        rank_shortlist(wanted)
        return
    sides = [
        made_up(n, wanted.positions, wanted.channels, seed) for seed, n in enumerate((wanted.queries, wanted.database))
    ]
    center = compute_center(sides[1], Centering.sample)
    x, y = (Centered(side, center) for side in sides)
    matcher = Matcher(method=Method(wanted.method))
    gram(x[:2], y[:2], matcher=matcher, threads=wanted.threads)  # compiles
    told = estimate_cost(x, y, matcher=matcher, threads=wanted.threads)
    sys.stdout.write(f"forecast of the permutations: {told.pairs} pairs, {told.seconds:.1f} s\n")
    total = 0.0
    for invariance in (Invariance.none, Invariance.permutation):
        start = time.perf_counter()
        inner = gram(x, y, invariance=invariance, matcher=matcher, threads=wanted.threads)
        took = time.perf_counter() - start
        total += took
        sys.stdout.write(f"inner products, invariance {invariance}: {took:.1f} s\n")
        for name in Kernel:
            start = time.perf_counter()
            kernel(inner, name)
            total += time.perf_counter() - start
    sys.stdout.write(f"three kernels, both invariances: {total:.1f} s\n")


if __name__ == "__main__":
    main()
