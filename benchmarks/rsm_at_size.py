"""Memory and time of an RSM of many images that goes through the store: is it flat in the number of images?

python benchmarks/rsm_at_size.py         # 12,500, 25,000 and 50,000 images, each in a process of its own
python benchmarks/rsm_at_size.py --images 50000 --invariance permutation
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from semrsm_cli.rsm import gram
from semrsm_cli.store import TileFolder

MIB = 2**20
ROWS = 256  # that are read at once


def peak() -> int:
    """The most memory that this process has held, in bytes; ru_maxrss would begin with what its parent had."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status["VmHWM"].split()[0])


def measure(n: int, s: int, c: int, invariance: str) -> None:
    """Write the tiles of n images, read them all again, and say what it took beside the images."""
    x = np.random.default_rng(0).standard_normal((n, s, c), np.float32)
    gram(x[:64], invariance=invariance)  # compiles what it needs
    before, start = psutil.Process().memory_info().rss, time.perf_counter()
    tiles = TileFolder({"benchmark": f"{n} {s} {c} {invariance} {time.time()}"})
    found = gram(x, invariance=invariance, tiles=tiles, in_memory=False, memory_gib=0.5)
    written, total = time.perf_counter(), 0.0
    for first in range(0, n, ROWS):
        block = found.rows(first, min(first + ROWS, n), bounds=False).inner
        total += float(np.triu(block).sum())
    read = time.perf_counter()
    flat = x.reshape(n, -1).astype(np.float64)
    if invariance == "none":  # the sum over all pairs on and above the diagonal, by the sum of all images
        expected = ((flat.sum(axis=0) ** 2).sum() + (flat**2).sum()) / 2
        size = np.sqrt(n * (n - 1) / 2 * s * c)  # of a sum of so many products of independent values
        assert abs(total - expected) < 1e-3 * size, (total, expected)
    sys.stdout.write(
        f"n={n} s={s} c={c} {invariance}: {(peak() - before) / MIB:.0f} MiB beside the images "
        f"({x.nbytes / MIB:.0f} MiB), {written - start:.0f} s to compute, {read - written:.0f} s to read\n"
    )


def main() -> None:
    """Measure each number of images in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[12_500, 25_000, 50_000])
    parser.add_argument("--positions", type=int, default=16)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--invariance", default="none")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        measure(given.images[0], given.positions, given.channels, given.invariance)
        return
    for n in given.images:
        rest = ["--positions", str(given.positions), "--channels", str(given.channels)]
        command = [sys.executable, __file__, "--here", "--images", str(n), *rest, "--invariance", given.invariance]
        with tempfile.TemporaryDirectory() as cache:
            subprocess.run(command, check=True, env=os.environ | {"SEMRSM_CACHE": cache, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
