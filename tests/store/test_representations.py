"""Stored representations: keys, chunks, resumption."""

from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.store import Precision, Representation, Writer, open_stored

IDS = [f"image {i}" for i in range(7)]


def writer(root: Path, **settings: object) -> Writer:
    return Writer({"layer": "a"} | settings, IDS, chunk=3, precision=Precision.float32, root=root)


def fill(to: Writer, values: np.ndarray, chunks: range) -> None:
    for i in chunks:
        to.write(i, values[i * 3 : (i + 1) * 3], (2, 2))


def test_representation_comes_back_with_ids_and_grid(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(7, 4, 5)).astype(np.float32)
    target = writer(tmp_path)
    fill(target, values, range(3))
    stored = target.finished()
    np.testing.assert_array_equal(stored[0:7], values)
    assert (stored.shape, stored.ids, stored.grid) == ((7, 4, 5), tuple(IDS), (2, 2))
    assert (target.path / "ids.csv").read_text().splitlines()[1] == "0,image 0"


def test_interrupted_writer_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(7, 4, 5)).astype(np.float32)
    whole = writer(tmp_path / "whole")
    fill(whole, values, range(3))
    first = writer(tmp_path / "parts")
    fill(first, values, range(1))
    unfinished = first.path / "concept_vectors" / "c" / "1" / f".{'0a' * 16}"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half")
    second = writer(tmp_path / "parts")
    assert second.missing() == [1, 2]
    second.tidy()
    fill(second, values, range(1, 3))
    assert files_below(second.path) == files_below(whole.path)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_chunk_of_zeros_counts_as_written(tmp_path: Path) -> None:
    target = writer(tmp_path)
    fill(target, np.zeros((7, 4, 5), np.float32), range(3))
    assert writer(tmp_path).missing() == []


def test_unfinished_representation_is_not_handed_out(tmp_path: Path, rng: np.random.Generator) -> None:
    target = writer(tmp_path)
    fill(target, rng.normal(size=(7, 4, 5)), range(2))
    with pytest.raises(RuntimeError, match="lacks 1 of 3 chunks"):
        target.finished()


def test_every_setting_changes_the_key(tmp_path: Path) -> None:
    keys = {
        writer(tmp_path).key,
        writer(tmp_path, weights="other").key,
        Writer({"layer": "a"}, IDS[:6], chunk=3, precision=Precision.float32, root=tmp_path).key,
        Writer({"layer": "a"}, IDS, chunk=2, precision=Precision.float32, root=tmp_path).key,
        Writer({"layer": "a"}, IDS, chunk=3, precision=Precision.float16, root=tmp_path).key,
    }
    assert len(keys) == 5


def test_rows_are_found_by_id(tmp_path: Path, rng: np.random.Generator) -> None:
    target = writer(tmp_path)
    fill(target, rng.normal(size=(7, 4, 5)), range(3))
    stored = target.finished()
    assert stored.rows_of(["image 5", "image 0"]).tolist() == [5, 0]
    with pytest.raises(SemrsmError, match="lacks 1 images, the first is image 9"):
        stored.rows_of(["image 5", "image 9"])


def test_stored_precision_limits_the_error(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, 3, 4)).astype(np.float32)
    target = Writer({}, ["a", "b"], chunk=2, precision=Precision.float16, root=tmp_path)
    target.write(0, values, None)
    found: Representation = target.finished()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[0:2], values, rtol=1e-3, atol=1e-6)


def test_a_key_finds_the_layer_again(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(7, 4, 5)).astype(np.float32)
    target = writer(tmp_path)
    fill(target, values, range(2))
    with pytest.raises(SemrsmError, match=f"{target.key} is not complete; run the same"):
        open_stored(target.key, tmp_path)
    fill(target, values, range(2, 3))
    layer, found = open_stored(target.key, tmp_path)
    assert (layer, found.key, found.ids, found.grid) == ("a", target.key, tuple(IDS), (2, 2))
    np.testing.assert_array_equal(found, values)
    with pytest.raises(SemrsmError, match="the store holds no representation 0000"):
        open_stored("0" * 32, tmp_path)


def test_the_grid_of_patches_comes_back(tmp_path: Path) -> None:
    target = Writer({"layer": "a"}, IDS[:3], chunk=3, precision=Precision.float32, root=tmp_path)
    target.write(0, np.ones((3, 6, 2), np.float32), None, (2, 3))
    stored = target.finished()
    assert (stored.grid, stored.patch_grid) == (None, (2, 3))
