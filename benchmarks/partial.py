"""Locality, floors and unequal sizes beside the plain matching, in one process, on one thread, warm.

    python benchmarks/partial.py MAPS

MAPS is a folder for feature maps, which are extracted where it lacks them. Times are those of the processor,
the least of several rounds; what counts is the ratio to the plain matching of the same pair.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from feature_maps import maps_of

from semrsm_cli.matching import Matching, match
from semrsm_cli.rsm import Invariance, Matcher
from semrsm_cli.rsm.matcher import PairMatcher

ROUNDS = {49: 30, 256: 20, 1024: 5, 4096: 1}
FLOORS = (0.0, 0.1, 0.3, 1.0)
LOCALITIES = (0.3, 1.0, 4.0, 16.0)


def main(folder: Path) -> None:
    """Print a line for each size and measure."""
    for s in ROUNDS:
        maps = maps_of(folder, s)
        x, y = maps[0], maps[len(maps) // 2]
        unit, side = float((y.astype(np.float64) ** 2).sum(axis=1).mean()), math.isqrt(s)
        affinity = np.ascontiguousarray(x @ y.T)
        plain, _ = fastest(lambda a=affinity: match(a), ROUNDS[s])
        report(s, "plain", 1.0, match(affinity))
        for floor in FLOORS:
            seconds, found = fastest(lambda a=affinity, t=floor * unit: match(a, floor=t), ROUNDS[s])
            report(s, f"floor {floor:g}", seconds / plain, found)
        half = np.ascontiguousarray(affinity[: s // 2])
        seconds, found = fastest(lambda a=half: match(a), ROUNDS[s])
        report(s, f"{s // 2} positions with {s}", seconds / plain, found)
        for locality in LOCALITIES:
            pair = PairMatcher(Invariance.permutation, Matcher(), (side, side), locality, unit)
            left, right = (one[0] for one in pair.localize(x[None], y[None]))
            near = np.ascontiguousarray(left @ right.T)
            seconds, found = fastest(lambda a=near: match(a), ROUNDS[s])
            report(s, f"locality {locality:g}", seconds / plain, found)


def fastest(function: Callable[[], Matching], rounds: int) -> tuple[float, Matching]:
    """The least time of some rounds after a first that does not count, and what the function returns."""
    found, seconds = function(), math.inf
    for _ in range(rounds):
        start = time.process_time()
        found = function()
        seconds = min(seconds, time.process_time() - start)
    return seconds, found


def report(s: int, what: str, ratio: float, found: Matching) -> None:
    """One line of a Markdown table."""
    share = np.mean(found.col_of_row >= 0)
    gap = (found.bound - found.value) / max(abs(found.value), 1e-30)
    sys.stdout.write(f"| {s} | {what} | {ratio:.2f} | {share:.2f} | {gap:.0e} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
