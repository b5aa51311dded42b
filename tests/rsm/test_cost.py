import numpy as np
import pytest

from semrsm_cli.rsm import estimate_cost, gram
from semrsm_cli.rsm.cost import CostEstimate


def test_counts_what_gram_will_do(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(5, 16, 3)), rng.normal(size=(4, 16, 3))
    counted: list[int] = []
    gram(x, progress=counted.append)
    ahead = estimate_cost(x, threads=1)
    assert isinstance(ahead, CostEstimate)
    assert ahead.pairs == sum(counted) == 15
    assert estimate_cost(x, y, threads=1).pairs == 20
    assert estimate_cost(x, y, threads=1).disk_bytes == 2 * 8 * 20
    assert ahead.seconds > 0
    assert ahead.memory_bytes > 0


def test_takes_the_settings_of_gram(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 6, 2))
    ahead = estimate_cost(x, invariance="translation", grid=(2, 3), memory_gib=1)
    assert ahead.pairs == 6
    with pytest.raises(ValueError, match="grid"):
        estimate_cost(x, invariance="translation")


def test_counts_the_pairs_asked_for(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(3, 6, 2)), rng.normal(size=(4, 6, 2))
    pairs = np.eye(3, 4, dtype=bool)
    assert estimate_cost(x, y, pairs=pairs, invariance="pooled").pairs == 3
    with pytest.raises(ValueError, match="left out without y"):
        estimate_cost(x, pairs=pairs)
