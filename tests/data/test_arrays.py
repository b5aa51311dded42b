"""Representations in files of the user's."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from safetensors.numpy import save_file

from semrsm_cli.data.arrays import pin_array, read_array
from semrsm_cli.errors import SemrsmError


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(3, 4, 5)).astype(np.float32)


def test_every_format_gives_the_same_array(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", only=values)
    save_file({"x": values, "other": values + 1}, tmp_path / "c.safetensors")
    zarr.save_array(tmp_path / "d.zarr", values)
    zarr.create_group(tmp_path / "e.zarr").create_array("layer", data=values)
    for name in ("a.npy", "b.npz", "c.safetensors#x", "d.zarr", "e.zarr"):
        found = read_array(str(tmp_path / name))
        np.testing.assert_array_equal(found[0:3], values)
        assert pin_array(found)[1] == pin_array(values)[1]
    assert pin_array(values + 1)[1] != pin_array(values)[1]


def saved(folder: Path, values: np.ndarray, kind: str) -> Path:
    """The array in a file of a kind that is read when it is sliced."""
    path = folder / f"a.{kind}"
    if kind == "zarr":
        zarr.save_array(path, values, overwrite=True)
    else:
        np.save(path, np.asfortranarray(values) if "fortran" in kind else values)
    return path


@pytest.mark.parametrize("kind", ["npy", "fortran.npy", "zarr"])
def test_a_pinned_array_reads_what_it_hashed_or_nothing(tmp_path: Path, values: np.ndarray, kind: str) -> None:
    array, key = pin_array(read_array(str(saved(tmp_path, values, kind))))
    assert (array.shape, array.dtype, len(array), key) == (values.shape, values.dtype, 3, pin_array(values)[1])
    for images in (slice(0, 3), slice(1, 2), slice(2, 99), slice(None)):
        np.testing.assert_array_equal(array[images], values[images])
    np.testing.assert_array_equal(np.asarray(array, np.float64), values)
    changed = values.copy()
    changed[1, 2, 3] += 1
    saved(tmp_path, changed, kind)
    np.testing.assert_array_equal(array[0:1], values[0:1])
    for images in (slice(0, 3), slice(1, 2)):
        with pytest.raises(SemrsmError, match=r"was changed while this ran.*run it again when nothing writes") as error:
            array[images]
        assert "\n" not in str(error.value)
    saved(tmp_path, values, kind)
    np.testing.assert_array_equal(array[:], values)


def test_a_pinned_array_whose_file_shrinks_is_named(tmp_path: Path, values: np.ndarray) -> None:
    path = saved(tmp_path, values, "npy")
    array, _ = pin_array(read_array(str(path)))
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(SemrsmError, match=r"cannot read .*a\.npy from image 2 on"):
        array[2:3]
    path.unlink()
    with pytest.raises(SemrsmError, match=r"cannot read .*a\.npy from image 0 on"):
        array[0:1]


def test_file_of_several_arrays_asks_which(tmp_path: Path, values: np.ndarray) -> None:
    np.savez(tmp_path / "two.npz", first=values, second=values)
    with pytest.raises(
        SemrsmError, match=r"holds 2 arrays; choose one of first, second, as in 'x=\".*two.npz#first\"'"
    ):
        read_array(str(tmp_path / "two.npz"))
    with pytest.raises(SemrsmError, match="no array 'third'"):
        read_array(f"{tmp_path}/two.npz#third")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("text.npy", b"no array", "cannot read"),
        ("text.npz", b"no archive", "cannot read"),
        ("text.safetensors", b"no tensors", "cannot read"),
        ("table.csv", b"1,2", "is no array that can be read"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SemrsmError, match=complaint) as raised:
        read_array(str(tmp_path / name))
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_files_objects_and_maps_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(SemrsmError, match=r"there is no .*nothing.npy"):
        read_array(str(tmp_path / "nothing.npy"))
    np.save(tmp_path / "objects.npy", np.array([[["a"]]], dtype=object), allow_pickle=True)
    with pytest.raises(SemrsmError, match="cannot read"):
        read_array(str(tmp_path / "objects.npy"))
    np.save(tmp_path / "map.npy", rng.normal(size=(2, 3, 4, 4)))
    with pytest.raises(SemrsmError, match=r"got float64 \[2, 3, 4, 4\]; a map \[n, c, h, w\] becomes"):
        read_array(str(tmp_path / "map.npy"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SemrsmError, match=r"cannot read|is no array"):
        read_array(str(tmp_path / "empty"))
