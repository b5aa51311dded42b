"""What workers read is what the client has, to the bit, and never zeros in the place of what they do not see."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.cluster import on_disk
from semrsm_cli.cluster.on_disk import OnDisk, put_on_disk
from semrsm_cli.cluster.payload import Payload
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm import Centered
from semrsm_cli.store import Precision, Writer


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int16", "uint8"])
def test_arrays_come_back_to_the_bit(tmp_path: Path, rng: np.random.Generator, dtype: str) -> None:
    x = (rng.normal(size=(7, 3, 2)) * 9).astype(dtype)
    found = pickle.loads(pickle.dumps(put_on_disk(x, tmp_path / "x")))
    assert isinstance(found, OnDisk)
    assert found.shape == x.shape
    for part in (slice(0, 7), slice(2, 5), slice(6, 99)):
        np.testing.assert_array_equal(found[part], x[part])
    centered = Centered(x, x.mean(axis=0))
    np.testing.assert_array_equal(put_on_disk(centered, tmp_path / "y")[1:4], centered[1:4])


def test_what_the_store_holds_is_not_copied(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(5, 3, 2)).astype(np.float32)
    writer = Writer({"layer": "a"}, [*"abcde"], chunk=2, precision=Precision.float32, root=tmp_path)
    for i in range(3):
        writer.write(i, values[2 * i : 2 * i + 2], None)
    found = put_on_disk(Centered(writer.finished(), values[0]), tmp_path / "not made")
    np.testing.assert_array_equal(found[0:5], values - values[0])
    assert not (tmp_path / "not made").exists()


def test_a_chunk_that_is_not_seen_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "_FILE_SYSTEM_LAG_S", 0)
    monkeypatch.setattr(on_disk, "_CHUNK_BYTES", 8)
    put_on_disk(np.ones((4, 1, 2), np.float32), tmp_path / "x")
    whole = OnDisk(str(tmp_path / "x"), (4, 1, 2), np.dtype("float32"))
    assert whole[0:4].all()
    lines = (tmp_path / "x" / "checksums.csv").read_text().splitlines()
    (tmp_path / "x" / "checksums.csv").write_text("\n".join(line for line in lines if not line.startswith("2/")) + "\n")
    with pytest.raises(SemrsmError, match="not whole where a worker reads it"):
        OnDisk(str(tmp_path / "x"), (4, 1, 2), np.dtype("float32"))[0:1]
    shutil.rmtree(tmp_path / "x")
    with pytest.raises(SemrsmError, match="not whole where a worker reads it"):
        OnDisk(str(tmp_path / "x"), (4, 1, 2), np.dtype("float32"))[0:1]


def test_a_payload_is_read_once_and_only_as_it_was_written(tmp_path: Path) -> None:
    payload = Payload.write({"a": [1, 2]}, tmp_path / "payload")
    assert payload.read() == {"a": [1, 2]}
    assert payload.read() is payload.read()
    other = Payload.write({"a": [3]}, tmp_path / "other")
    (tmp_path / "other").write_bytes(pickle.dumps({"a": [4]}))
    with pytest.raises(SemrsmError, match="was damaged"):
        other.read()
