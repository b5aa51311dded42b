"""Matrices on the store's disk."""

from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.store import PairsOnDisk


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_rows_come_back_whatever_the_order_and_the_blocks(rng: np.random.Generator) -> None:
    for dtype in (np.float32, np.float64):
        whole = rng.normal(size=(11, 11)).astype(dtype)
        for starts in ([0], [0, 4, 8], [8, 0, 4], list(range(11))):
            pairs = PairsOnDisk(11, dtype)
            assert (pairs.shape, pairs.dtype) == ((11, 11), dtype)
            ends = dict(zip(sorted(starts), [*sorted(starts)[1:], 11], strict=True))
            for start in starts:
                pairs.write(start, whole[start : ends[start], start:])
            for rows in (slice(0, 11), slice(3, 7), slice(10, 11), slice(5, 5)):
                filled = np.arange(11) >= np.arange(11)[rows, None]
                found = pairs[rows]
                np.testing.assert_array_equal(found[filled], whole[rows][filled], err_msg=f"{dtype} {starts} {rows}")


def test_what_was_not_written_is_zero(rng: np.random.Generator) -> None:
    pairs = PairsOnDisk(5)
    assert not pairs[0:5].any()
    pairs.write(0, rng.normal(size=(1, 5)))
    assert not pairs[1:5].any()


def test_leaves_no_file(cache: Path) -> None:
    pairs = PairsOnDisk(3)
    pairs.write(0, np.ones((3, 3)))
    assert not list(cache.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        pairs = PairsOnDisk(30)
        with pytest.raises(SemrsmError, match=r"No space left on device; set SEMRSM_CACHE to a disk with more room"):
            pairs.write(0, np.ones((30, 30)))
