"""Layers that the user brings as files."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from safetensors.numpy import save_file

from semrsm_cli.data.layers import read_layers
from semrsm_cli.errors import SemrsmError


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(3, 4, 2))


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "zarr"])
def test_every_array_of_a_file_is_a_layer(tmp_path: Path, x: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"mine.{suffix}"
    arrays = {"early": x, "late": x[:, :1] + 1}
    if suffix == "npz":
        np.savez(path, **arrays)
    elif suffix == "safetensors":
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    else:
        group = zarr.open_group(path, mode="w")
        for name, array in arrays.items():
            group.create_array(name, data=array)
    found = read_layers(str(path))
    assert list(found.arrays) == ["early", "late"]
    np.testing.assert_array_equal(found.arrays["late"][0:3], arrays["late"])
    assert list(read_layers(f"{path}#late").arrays) == ["late"]
    assert found.ids is None


def test_single_array_is_called_after_its_file_and_ids_stand_beside(tmp_path: Path, x: np.ndarray) -> None:
    np.save(tmp_path / "block.npy", x)
    (tmp_path / "block.ids.csv").write_text("row,id\n0,cat\n1,dog\n2,owl\n")
    found = read_layers(str(tmp_path / "block.npy"))
    assert list(found.arrays) == ["block"]
    assert found.ids == ("cat", "dog", "owl")


def test_ids_within_an_npz_file_are_no_layer(tmp_path: Path, x: np.ndarray) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, early=x, ids=np.array(["cat", "dog", "owl"]))
    found = read_layers(str(path))
    assert list(found.arrays) == ["early"]
    assert found.ids == read_layers(f"{path}#early").ids == ("cat", "dog", "owl")
    np.savez(path, early=x, ids=np.array(["cat", "dog"]))
    with pytest.raises(SemrsmError, match=r"ids in .*mine.npz names 2 images, but early in .* holds 3"):
        read_layers(str(path))
    np.savez(path, early=x, ids=np.array(["cat", "dog", "owl"], dtype=object), allow_pickle=True)
    with pytest.raises(SemrsmError, match="keep ids as strings"):
        read_layers(str(path))


def test_wrong_files_are_named(tmp_path: Path, x: np.ndarray) -> None:
    np.save(tmp_path / "block.npy", x)
    (tmp_path / "block.ids.csv").write_text("name\ncat\n")
    with pytest.raises(SemrsmError, match="must have a column id, it has name"):
        read_layers(str(tmp_path / "block.npy"))
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    with pytest.raises(SemrsmError, match=r"cannot read .*broken.npz"):
        read_layers(str(tmp_path / "broken.npz"))
    with pytest.raises(SemrsmError, match="there is no"):
        read_layers(str(tmp_path / "absent.npz"))
