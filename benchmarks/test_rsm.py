"""A whole semantic RSM, and its matrix products alone, on one thread.

pytest benchmarks/test_rsm.py -o addopts="" --benchmark-columns=median,rounds
"""

import pytest
from feature_maps import products

from semrsm_cli.matching import Method
from semrsm_cli.matching.optimal import compile_all
from semrsm_cli.rsm import Matcher, gram

S = 256


@pytest.mark.parametrize(
    "method", [Method.optimal, Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal]
)
def test_symmetric_rsm(benchmark, maps, facts, method: Method) -> None:
    compile_all()
    x, matcher = maps(S), Matcher(method=method, batch=128)
    gram(x[:3], matcher=matcher, threads=1)
    g = benchmark.pedantic(lambda: gram(x, matcher=matcher, threads=1), rounds=3)
    facts(s=S, c=x.shape[2], pairs=len(x) * (len(x) + 1) // 2, gain=float(g.inner.mean()))


@pytest.mark.parametrize("invariance", ["none", "translation"])
def test_rsm_without_matching(benchmark, maps, facts, invariance: str) -> None:
    x = maps(S)
    benchmark.pedantic(lambda: gram(x, invariance=invariance, grid=(16, 16), threads=1), rounds=3)
    facts(s=S, c=x.shape[2], pairs=len(x) * (len(x) + 1) // 2)


@pytest.mark.parametrize("images", [1, 4])
def test_its_products_alone(benchmark, maps, facts, images: int) -> None:
    """The affinities of all pairs once, a pair or a block of images at a time."""
    x = maps(S)
    benchmark.pedantic(lambda: products(x, images), rounds=3)
    facts(s=S, c=x.shape[2], images=images)
