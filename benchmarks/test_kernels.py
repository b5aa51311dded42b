"""Time of a matching, the affinity given, and the same for the rivals, in one process, on one thread, warm.

pytest benchmarks/test_kernels.py -o addopts="" --benchmark-group-by=param:s --benchmark-columns=median,rounds
"""

import itertools

import numpy as np
import pytest

from semrsm_cli.matching import Method, match
from semrsm_cli.matching.optimal import compile_all

RIVALS = (Method.ortools, Method.scipy, Method.lapjv, Method.lapx, Method.lapcpp)
PAIRS = {49: 8, 256: 8, 1024: 4, 4096: 1}


def affinities(maps, s: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Some pairs of images that are not neighbours, with their affinity."""
    x = maps(s)
    chosen = itertools.islice(itertools.combinations(range(0, len(x), max(1, len(x) // 8)), 2), PAIRS[s])
    return [(x[i] @ x[j].T, x[i], x[j]) for i, j in chosen]


@pytest.mark.parametrize("s", PAIRS)
@pytest.mark.parametrize("method", [Method.optimal, *RIVALS])
def test_optimum(benchmark, maps, facts, method: Method, s: int) -> None:
    if s == 4096 and method not in (Method.optimal, Method.ortools):
        pytest.skip("takes 7 to 50 s")
    compile_all()
    pairs = affinities(maps, s)
    found = benchmark.pedantic(
        lambda: [match(affinity, method=method) for affinity, _, _ in pairs],
        rounds=2 if s >= 1024 and method in RIVALS else 9,
        warmup_rounds=1,
    )
    ours = found if method is Method.optimal else [match(affinity) for affinity, _, _ in pairs]
    gain = float(np.mean([m.value / o.value for m, o in zip(found, ours, strict=True)]))
    gap = max((m.bound - m.value) / abs(m.value) for m in found)
    facts(s=s, c=pairs[0][1].shape[1], pairs=len(pairs), gain=gain, certified_gap=gap)
    assert gain == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("s", [256, 1024, 4096, 16384])
@pytest.mark.parametrize("batch", [128, 512])
def test_batch_optimal_with_its_affinity(benchmark, maps, facts, batch: int, s: int) -> None:
    compile_all()
    x = maps(s)
    found = benchmark(lambda: match(None, method="batch_optimal", batch=batch, x=x[0], y=x[2]))
    facts(s=s, c=x.shape[2], pairs=1, gain=found.value)


@pytest.mark.parametrize("s", [16384])
def test_without_the_matrix(benchmark, maps, facts, s: int) -> None:
    compile_all()
    x = maps(s)
    found = benchmark.pedantic(lambda: match(None, x=x[0], y=x[2]), rounds=1)
    facts(s=s, c=x.shape[2], pairs=1, certified_gap=(found.bound - found.value) / abs(found.value))
