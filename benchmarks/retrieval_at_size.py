"""Time the RSMs of a retrieval on made-up features: every kernel, without and with permutation invariance.

python benchmarks/retrieval_at_size.py                                  # 200 x 1,000 images, s = 49, c = 768
python benchmarks/retrieval_at_size.py --queries 2000 --database 5000   # the paper's numbers of images
"""

import argparse
import sys
import time

import numpy as np

from semrsm_cli.matching import Method
from semrsm_cli.rsm import Centered, Centering, Invariance, Kernel, Matcher, compute_center, estimate_cost, gram, kernel

PROTOTYPES = 200


def made_up(n: int, s: int, c: int, seed: int) -> np.ndarray:
    """Images [n, s, c] of a few things each: every position shows one of the image's six prototypes, with noise."""
    rng = np.random.default_rng(seed)
    things = np.random.default_rng(0).normal(size=(PROTOTYPES, c)).astype(np.float32)
    kinds = rng.integers(PROTOTYPES, size=(n, 6))
    shown = kinds[np.arange(n)[:, None], rng.integers(6, size=(n, s))]
    return things[shown] + rng.normal(size=(n, s, c)).astype(np.float32)


def main() -> None:
    """Run the benchmark once and write one line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("queries", 200), ("database", 1000), ("positions", 49), ("channels", 768)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--method", default="optimal")
    wanted = parser.parse_args()
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
