"""Affinities of every kind that has broken a matching."""

from collections.abc import Callable

import numpy as np

Make = Callable[[np.random.Generator, int], np.ndarray]


def low_rank(rank: int) -> Make:
    return lambda rng, s: rng.normal(size=(s, rank)) @ rng.normal(size=(rank, s))


def rectified(rng: np.random.Generator, s: int, shift: float) -> np.ndarray:
    x, y = np.maximum(rng.normal(size=(2, s, 32)) - shift, 0)
    return x @ y.T


def of_few(rng: np.random.Generator, s: int) -> np.ndarray:
    x, y = rng.normal(size=(2, 8, 5))
    return x[rng.integers(0, 8, s)] @ y[rng.integers(0, 8, s)].T


def huge_token(rng: np.random.Generator, s: int) -> np.ndarray:
    x, y = rng.normal(size=(2, s, 8))
    x[0] *= 1e6
    return x @ y.T


def identical(rng: np.random.Generator, s: int) -> np.ndarray:
    x = rng.normal(size=(s, 16))
    return x @ x.T


def balanced(rng: np.random.Generator, s: int) -> np.ndarray:
    affinity = rng.normal(size=(s, s))
    return affinity - affinity.mean()


KINDS: dict[str, Make] = {
    "uniform": lambda rng, s: rng.random((s, s)),
    "normal": lambda rng, s: rng.normal(size=(s, s)),
    "rank 64": low_rank(64),
    "rank 2": low_rank(2),
    "rank one": low_rank(1),
    "outer": lambda rng, s: np.outer(np.arange(1, s + 1.0), np.arange(1, s + 1.0)),
    "negative outer": lambda rng, s: -np.outer(np.arange(1, s + 1.0), np.arange(1, s + 1.0)),
    "relu": lambda rng, s: rectified(rng, s, 0.0),
    "sparse": lambda rng, s: rectified(rng, s, 1.5),
    "mostly zero": lambda rng, s: (rng.random((s, s)) < 0.02).astype(float),
    "identical images": identical,
    "noisy permutation": lambda rng, s: np.eye(s)[rng.permutation(s)] + 0.1 * rng.normal(size=(s, s)),
    "eight distinct vectors": of_few,
    "zeros": lambda rng, s: np.zeros((s, s)),
    "constant": lambda rng, s: np.full((s, s), 3.7),
    "negative constant": lambda rng, s: np.full((s, s), -1e-3),
    "sized 1e12": lambda rng, s: rng.normal(size=(s, s)) * 1e12,
    "sized 1e36": lambda rng, s: rng.normal(size=(s, s)) * 1e36,
    "sized 1e-36": lambda rng, s: rng.normal(size=(s, s)) * 1e-36,
    "huge token": huge_token,
    "integers": lambda rng, s: rng.integers(0, 5, (s, s)).astype(float),
    "float16": lambda rng, s: rng.normal(size=(s, s)).astype(np.float16),
    "small on a large offset": lambda rng, s: rng.normal(size=(s, s)) * 1e-4 + 1e3,
    "heavy tails": lambda rng, s: rng.standard_cauchy((s, s)),
    "one column wanted by all": lambda rng, s: 5 * np.eye(s)[0] + 1e-3 * rng.random((s, s)),
    "balanced": balanced,
}
