import numpy as np
import pytest

from semrsm_cli.rsm import forecast, gram
from semrsm_cli.rsm.forecast import Forecast


def test_counts_what_gram_will_do(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(5, 16, 3)), rng.normal(size=(4, 16, 3))
    counted: list[int] = []
    gram(x, progress=counted.append)
    ahead = forecast(x, workers=1)
    assert isinstance(ahead, Forecast)
    assert ahead.pairs == sum(counted) == 15
    assert forecast(x, y, workers=1).pairs == 20
    assert forecast(x, y, workers=1).disk_bytes == 2 * 8 * 20
    assert ahead.seconds > 0
    assert ahead.memory_bytes > 0


def test_takes_the_settings_of_gram(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 6, 2))
    ahead = forecast(x, invariance="translation", grid=(2, 3), tiles=None, progress=None, memory_gib=1)
    assert ahead.pairs == 6
    with pytest.raises(ValueError, match="grid"):
        forecast(x, invariance="translation")
