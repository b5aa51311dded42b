"""Checked arrays: slices like those of NumPy, readable as Zarr, and made by any number of processes at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.store.arrays import CheckedArray

SHAPE, CHUNKS = (7, 5, 3), (3, 2, 3)


def filled(path: Path, values: np.ndarray, chunks: tuple[int, ...]) -> CheckedArray:
    array = CheckedArray.create(path, shape=values.shape, chunks=chunks, dtype=str(values.dtype), attributes={"a": 1})
    for place in np.ndindex(*(-(-n // k) for n, k in zip(values.shape, chunks, strict=True))):
        array.write(values[tuple(slice(i * k, (i + 1) * k) for i, k in zip(place, chunks, strict=True))], *place)
    return array


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_written_is_an_array_of_zarr(tmp_path: Path, rng: np.random.Generator, dtype: str) -> None:
    values = rng.normal(size=SHAPE).astype(dtype)
    array = filled(tmp_path / "a", values, CHUNKS)
    by_zarr: Any = zarr.open_array(tmp_path / "a", mode="r")
    np.testing.assert_array_equal(by_zarr[:], values)
    np.testing.assert_array_equal(array[:], values)
    assert (array.shape, array.chunks, array.dtype, array.attributes) == (SHAPE, CHUNKS, values.dtype, {"a": 1})
    assert sorted(array.places()) == sorted(np.ndindex(3, 3, 1))


def index(length: int) -> st.SearchStrategy[Any]:
    inside = st.integers(-length, length - 1)
    return st.slices(length) | inside | st.lists(inside, max_size=9)


@given(data=st.data())
def test_slices_are_those_of_numpy(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    values = np.random.default_rng(0).normal(size=SHAPE)
    array = filled(tmp_path_factory.mktemp("store") / "a", values, CHUNKS)
    axes = data.draw(st.integers(1, 3))
    chosen = [data.draw(index(length)) for length in SHAPE[:axes]]
    expected = values
    for axis in range(axes - 1, -1, -1):  # from the last on, so that a number does not shift the axes before it
        one = chosen[axis]
        expected = expected[(slice(None),) * axis + (np.array(one, int) if isinstance(one, list) else one,)]
    np.testing.assert_array_equal(array[tuple(chosen)], expected)
    if axes == 1:
        np.testing.assert_array_equal(array[chosen[0]], expected)


def test_what_was_never_written_is_zero(tmp_path: Path) -> None:
    array = CheckedArray.create(tmp_path / "a", shape=(4, 4), chunks=(2, 2), dtype="float64", attributes={})
    array.write(np.ones((2, 2)), 0, 1)
    np.testing.assert_array_equal(array[1:3], [[0, 0, 1, 1], [0, 0, 0, 0]])


def test_many_may_make_it_at_once_and_in_the_place_of_anything(tmp_path: Path) -> None:
    def make(i: int) -> CheckedArray:
        array = CheckedArray.create(tmp_path / "a", shape=(8, 2), chunks=(1, 2), dtype="float64", attributes={})
        array.write(np.full((1, 2), i), i, 0)
        return array

    for before in ("nothing", "a file", "a folder", "damaged"):
        if before == "a file":
            (tmp_path / "a").write_text("no array")
        if before == "a folder":
            (tmp_path / "a" / "c").mkdir(parents=True)
        if before == "damaged":
            filled(tmp_path / "a", np.ones((8, 2)), (1, 2))
            (tmp_path / "a" / "zarr.json").write_text("{")
        with ThreadPoolExecutor(8) as pool:
            arrays = list(pool.map(make, range(8)))
        np.testing.assert_array_equal(arrays[0][:, 0], range(8), err_msg=before)
        assert [path.name for path in tmp_path.iterdir()] == ["a"], before
        zarr.open_array(tmp_path / "a", mode="r")
        shutil.rmtree(tmp_path / "a")


def test_a_writer_whose_array_was_moved_away_goes_on(tmp_path: Path) -> None:
    first = CheckedArray.create(tmp_path / "a", shape=(4, 2), chunks=(1, 2), dtype="float64", attributes={})
    first.write(np.ones((1, 2)), 0, 0)
    (tmp_path / "a").rename(tmp_path / "away")  # as a run does that thinks it damaged
    first.write(np.ones((1, 2)), 1, 0)
    again = CheckedArray.create(tmp_path / "a", shape=(4, 2), chunks=(1, 2), dtype="float64", attributes={})
    assert again.read(0, 0) is None
    first.write(np.ones((1, 2)), 2, 0)
    np.testing.assert_array_equal(again.read(2, 0), np.ones((1, 2)))
