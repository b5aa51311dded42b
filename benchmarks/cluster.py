"""What a cluster costs and gives: measured on two workers of this machine, and simulated for many.

python benchmarks/cluster.py empty                # 100,000 empty units: overhead a unit, memory of the scheduler
python benchmarks/cluster.py efficiency           # two workers of one core against one, on real units
python benchmarks/cluster.py latency              # the same where each operation on files takes 20 ms more
python benchmarks/cluster.py costs                # milliseconds a pair, a cost model, the paper's experiments
python benchmarks/cluster.py simulate             # where the scheduler stops to scale
"""

import argparse
import heapq
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from retrieval_at_size import made_up
from scipy.optimize import nnls

from semrsm_cli.cluster import ClusterConfig, Session, tile_engine
from semrsm_cli.rsm import Matcher, estimate_cost, gram
from semrsm_cli.rsm.matcher import Invariance, PairMatcher
from semrsm_cli.rsm.plan import Plan
from semrsm_cli.store import TileFolder

OVERHEAD_S = 0.005  # of scheduler and client a unit, one after the other: what `empty` measures of their process
SPREAD = 0.2  # of the time of units
LATENCY_S = 0.02

RESNETS = [("ResNet18", 49, 512), ("ResNet50 and 101, each", 49, 2048), ("ConvNeXt V2", 49, 1024)]
CLASSIFIERS = [*RESNETS, ("ViT-B/16", 197, 768), ("ViT-L/32", 145, 1024), ("DINOv2-giant", 257, 1536)]
RETRIEVERS = [("CLIP", 50, 768), ("CLIPSeg", 485, 768), ("DINOv2-giant", 257, 1536), ("BiT-50", 49, 2048)]
SAM = ("SAM", 4096, 256)
EXPERIMENTS: list[tuple[str, str, int, int, list[tuple[str, int, int]]]] = [
    ("Table 1", "optimal", 2000, 0, CLASSIFIERS),
    ("Table 4", "optimal", 20_000, 0, CLASSIFIERS),
    ("Table 2, 10,000", "batch_optimal", 2000, 10_000, [*RETRIEVERS, SAM]),
    ("the same, to the optimum", "optimal", 2000, 10_000, [*RETRIEVERS, SAM]),
    ("Table 3", "batch_optimal", 500, 2975, [*RETRIEVERS, SAM]),
]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def nothing(shared: None, job: int, threads: int) -> None:
    """An empty unit."""


def empty(n: int = 100_000) -> None:
    """Overhead of units that do nothing, and the memory of this process, which holds scheduler and client."""
    with_two = Session(ClusterConfig(name="dask", n_workers=2))
    process = psutil.Process()
    memory = []
    try:
        list(with_two.map(nothing, None, range(1000)))
        start = time.perf_counter()
        for k, _ in enumerate(with_two.map(nothing, None, range(n))):
            if k % (n // 20) == 0:
                memory.append(process.memory_info().rss / 2**20)
        seconds = time.perf_counter() - start
    finally:
        with_two.close()
    say(f"{n} empty units on 2 workers: {seconds:.0f} s, {1000 * seconds / n:.2f} ms a unit")
    say(f"memory of scheduler and client, MiB: {', '.join(f'{m:.0f}' for m in memory)}")


def units_a_second(workers: int, x: np.ndarray, tag: str, cores: int = 1) -> float:
    """Pairs a second on some workers of so many cores; starting them does not count."""
    session = Session(ClusterConfig(name="dask", n_workers=workers, cores=cores))
    tiles = TileFolder({"benchmark": f"{tag} {workers} {time.time()}"})
    times: list[tuple[float, int]] = []
    try:
        warm = TileFolder({"warm": f"{tag} {workers} {time.time()}"})
        gram(x[:24], matcher=Matcher(), tiles=warm, engine=tile_engine(session, warm))
        gram(
            x,
            matcher=Matcher(),
            tiles=tiles,
            engine=tile_engine(session, tiles),
            progress=lambda n: times.append((time.perf_counter(), n)),
        )
    finally:
        session.close()
    first = workers  # until each has done one, the images are copied
    steady = times[first:-workers]
    return sum(n for _, n in steady) / (steady[-1][0] - times[first - 1][0])


def efficiency() -> None:
    """Two workers against one, in turn."""
    x = made_up(160, 1024, 64, 0)
    one, two = [], []
    for _ in range(2):
        one.append(units_a_second(1, x, "one"))
        two.append(units_a_second(2, x, "two"))
    say(f"pairs a second: one worker {max(one):.0f}, two workers {max(two):.0f}; ratio {max(two) / max(one):.2f}")
    say(f"load of this machine: {os.getloadavg()[0]:.1f}")


SLOW = f"""
import builtins, io, os, time
import numpy as np
def slowed(function):
    def slow(*arguments, **named):
        time.sleep({LATENCY_S})
        return function(*arguments, **named)
    return slow
def dask_setup(worker):
    import semrsm_cli.store
    io.open = builtins.open = slowed(builtins.open)
    np.fromfile = slowed(np.fromfile)
    for name in ("stat", "replace", "rename", "mkdir", "unlink", "scandir"):
        setattr(os, name, slowed(getattr(os, name)))
"""


def latency() -> None:
    """A worker on a quick and on a slow file system: units of seconds, where real ones take minutes."""
    import semrsm_cli.cluster.schedulers as schedulers

    x = made_up(88, 2048, 64, 0)
    quick = units_a_second(1, x, "quick")
    with tempfile.TemporaryDirectory() as folder:
        preload = Path(folder, "slow.py")
        preload.write_text(SLOW)
        local = schedulers.PRELOAD
        schedulers.PRELOAD = [local, str(preload)] if isinstance(local, str) else [*local, str(preload)]
        try:
            slow = units_a_second(1, x, "slow")
        finally:
            schedulers.PRELOAD = local
    n = len(x)
    plan = Plan.of(x, None, PairMatcher(Invariance.permutation), 1, 4)
    unit = plan.tile_size**2 / quick
    say(f"pairs a second: {quick:.0f}, with {1000 * LATENCY_S:.0f} ms an operation {slow:.0f}: {slow / quick:.1%}")
    say(f"units of {unit:.1f} s; an operation more a unit costs {LATENCY_S / unit:.2%} ({n} images)")


def costs() -> None:
    """Milliseconds a pair for each network, a model of them, and what the experiments cost."""
    rows, measured = [], {}
    for method in ("optimal", "batch_optimal"):
        wanted = sorted({(s, c) for _, m, _, _, networks in EXPERIMENTS if m == method for _, s, c in networks})
        for s, c in wanted:
            n = 4 if s > 1000 else 16
            x = made_up(n, s, c, 0)
            x = x - x.mean(axis=0)
            cost = estimate_cost(x, x + 0, matcher=Matcher(method=method), threads=1)  # type: ignore[arg-type]
            measured[method, s, c] = cost.seconds / cost.pairs
            rows.append((method, s, c, measured[method, s, c]))
    for method in ("optimal", "batch_optimal"):
        of_method = [row for row in rows if row[0] == method]
        design = np.array([(s * s * c, s * s, s, 1) for _, s, c, _ in of_method], float)
        seconds = np.array([row[3] for row in of_method])
        found, _ = nnls(design / seconds[:, None], np.ones(len(seconds)))
        say(
            f"{method}: seconds a pair = "
            + " + ".join(f"{k:.2g} {name}" for k, name in zip(found, ("s²c", "s²", "s", "1"), strict=True) if k)
        )
        for (_, s, c, took), model in zip(of_method, design @ found, strict=True):
            say(f"  s = {s}, c = {c}: {1000 * took:.3f} ms a pair, by the model {1000 * model:.3f}")
    say("")
    say("| experiment | network | s | c | ms a pair | units | core-hours | 1 core | 32 | 1,024 | read |")
    say("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, method, n, m, networks in EXPERIMENTS:
        for network, s, c in networks:
            a_pair = measured[method, s, c]
            shape = Shape(n, s, c)
            matcher = PairMatcher(Invariance.permutation, Matcher(method=method))  # type: ignore[arg-type]
            plan = Plan.of(shape, None if not m else Shape(m, s, c), matcher, 1, 4.0)  # type: ignore[arg-type]
            units = np.array([tile.n_pairs * a_pair for tile in plan.tiles()])
            read = sum(sum(tile.shape) for tile in plan.tiles()) * s * c * 4 / 2**30
            walls = " | ".join(show(simulated(units, workers)[0]) for workers in (1, 32, 1024))
            say(
                f"| {name} | {network} | {s} | {c} | {1000 * a_pair:.3g} | {len(units)} | {units.sum() / 3600:.3g} | "
                f"{walls} | {read:.0f} GiB |"
            )


class Shape:
    """Representations that nobody reads."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype = shape, np.dtype("float32")


def show(seconds: float) -> str:
    """A time in the unit that it fills."""
    for limit, name, unit in ((100, "s", 1), (6000, "min", 60), (3600 * 72, "h", 3600)):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.2g} d"


def simulated(units: np.ndarray, workers: int, overhead: float = OVERHEAD_S) -> tuple[float, float]:
    """Seconds, and the share of them that workers worked, with two units outstanding a worker.

    Scheduler and client handle one unit at a time; a worker begins its next unit as soon as that has arrived.
    """
    rng = np.random.default_rng(0)
    times = units * np.exp(rng.normal(-(SPREAD**2) / 2, SPREAD, len(units)))
    handled = 0.0  # when scheduler and client are free
    free = [0.0] * workers
    done: list[tuple[float, int]] = []
    left = iter(times)

    def give(worker: int, now: float) -> None:
        nonlocal handled
        took = next(left, None)
        if took is None:
            return
        handled = max(handled, now) + overhead
        free[worker] = max(free[worker], handled) + took
        heapq.heappush(done, (free[worker], worker))

    for _ in range(2):
        for worker in range(workers):
            give(worker, 0.0)
    end = 0.0
    while done:
        end, worker = heapq.heappop(done)
        give(worker, end)
    return end, float(times.sum()) / (end * workers)


def simulate() -> None:
    """Efficiency by length of units and number of workers of one core, where each has 50 units to do."""
    numbers = (2, 32, 256, 1024, 4096, 16384)
    say("| seconds a unit | " + " | ".join(f"{n:,} workers" for n in numbers) + " |")
    say("|---|" + "---|" * len(numbers))
    for seconds in (1, 10, 60, 300):
        shares = [simulated(np.full(min(50 * n, 100_000), float(seconds)), n)[1] for n in numbers]
        say(f"| {seconds} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


COMMANDS: dict[str, Callable[[], Any]] = {
    "empty": empty,
    "efficiency": efficiency,
    "latency": latency,
    "costs": costs,
    "simulate": simulate,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    COMMANDS[parser.parse_args().what]()
