"""Whatever happens to the store's files: what is damaged is computed anew, and never taken for data."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm import Tile
from semrsm_cli.store import Precision, TileFolder, Writer, open_stored

N, S, C, CHUNK = 6, 3, 2, 2
IDS = [f"image {i}" for i in range(N)]


def cut_short(chunks: list[Path], folder: Path) -> None:
    chunks[0].write_bytes(chunks[0].read_bytes()[:-9])


def emptied(chunks: list[Path], folder: Path) -> None:
    chunks[0].write_bytes(b"")


def zeroed(chunks: list[Path], folder: Path) -> None:
    chunks[0].write_bytes(bytes(chunks[0].stat().st_size))


def one_bit_flipped(chunks: list[Path], folder: Path) -> None:
    content = bytearray(chunks[0].read_bytes())
    content[3] ^= 1
    chunks[0].write_bytes(content)


def two_chunks_swapped(chunks: list[Path], folder: Path) -> None:
    first, second = (chunk.read_bytes() for chunk in chunks[:2])
    chunks[0].write_bytes(second)
    chunks[1].write_bytes(first)


def chunk_missing(chunks: list[Path], folder: Path) -> None:
    chunks[0].unlink()


def metadata_garbage(chunks: list[Path], folder: Path) -> None:
    (folder / "zarr.json").write_text("[1, 2")


def metadata_of_nothing(chunks: list[Path], folder: Path) -> None:
    (folder / "zarr.json").write_text("[]")


def metadata_missing(chunks: list[Path], folder: Path) -> None:
    (folder / "zarr.json").unlink()


def shape_edited(chunks: list[Path], folder: Path) -> None:
    metadata = json.loads((folder / "zarr.json").read_text())
    metadata["shape"][-1] += 1
    (folder / "zarr.json").write_text(json.dumps(metadata))


def checksums_missing(chunks: list[Path], folder: Path) -> None:
    (folder / "checksums.csv").unlink()


def checksums_garbage(chunks: list[Path], folder: Path) -> None:
    (folder / "checksums.csv").write_bytes(b"\xff\x00,,\n,")


def checksums_cut_short(chunks: list[Path], folder: Path) -> None:
    path = folder / "checksums.csv"
    path.write_bytes(path.read_bytes()[:-6])


DAMAGES = [
    *(cut_short, emptied, zeroed, one_bit_flipped, two_chunks_swapped, chunk_missing),
    *(metadata_garbage, metadata_of_nothing, metadata_missing, shape_edited),
    *(checksums_missing, checksums_garbage, checksums_cut_short),
]
SILENT = {chunk_missing, metadata_missing}  # as a run leaves it that was killed


def hurt(folder: Path, damage: Callable[[list[Path], Path], None]) -> None:
    damage(sorted(path for path in (folder / "c").rglob("*") if path.is_file()), folder)


def representation(root: Path) -> Writer:
    return Writer({"layer": "a"}, IDS, chunk=CHUNK, precision=Precision.float32, root=root)


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(N, S, C)).astype(np.float32)


def complete(writer: Writer, values: np.ndarray) -> list[int]:
    missing = writer.missing()
    for i in missing:
        writer.write(i, values[i * CHUNK : (i + 1) * CHUNK], (3, 1))
    return missing


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_representation_is_computed_anew(
    tmp_path: Path, values: np.ndarray, damage: Callable[[list[Path], Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = representation(tmp_path)
    complete(first, values)
    assert representation(tmp_path).missing() == []
    hurt(first.path / "concept_vectors", damage)
    with pytest.raises(SemrsmError, match=r"holds no representation|is not complete"):
        open_stored(first.key, tmp_path)
    assert bool(caplog.messages) is (damage not in SILENT)
    assert all("\n" not in message and "anew" in message for message in caplog.messages)
    again = representation(tmp_path)
    assert complete(again, values)
    np.testing.assert_array_equal(again.finished()[:], values)
    assert representation(tmp_path).missing() == []
    np.testing.assert_array_equal(open_stored(first.key, tmp_path)[1][:], values)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["inner", "bound"])
def test_damaged_tiles_are_computed_anew(
    tmp_path: Path, rng: np.random.Generator, name: str, damage: Callable[[list[Path], Path], None]
) -> None:
    inner, bound = rng.normal(size=(2, N, N))
    tiles = [Tile(row, col, (CHUNK, CHUNK), False) for row in range(0, N, CHUNK) for col in range(0, N, CHUNK)]

    def complete_tiles() -> int:
        store = TileFolder({"key": 1}, root=tmp_path)
        store.open((N, N), CHUNK)
        n_missing = 0
        for tile in tiles:
            loaded = store.load(tile)
            if loaded is None:
                n_missing += 1
                store.save(tile, inner[tile.slices], bound[tile.slices])
            else:
                np.testing.assert_array_equal(loaded, [inner[tile.slices], bound[tile.slices]])
        return n_missing

    assert (complete_tiles(), complete_tiles()) == (len(tiles), 0)
    (folder,) = (path for path in tmp_path.rglob(name) if path.is_dir())
    hurt(folder, damage)
    assert complete_tiles() > 0
    assert complete_tiles() == 0


def test_ids_of_other_images_are_not_taken(tmp_path: Path, values: np.ndarray) -> None:
    first = representation(tmp_path)
    complete(first, values)
    ids = first.path / "ids.csv"
    ids.write_text(ids.read_text().replace("image 5", "image 6"))
    with pytest.raises(SemrsmError, match="is not complete; run the same `semrsm extract` again"):
        open_stored(first.key, tmp_path)


@pytest.mark.parametrize("name", ["ids.csv", "zarr.json"])
@pytest.mark.parametrize("content", [None, b"", b"row,id\n0,\xff\n"])
def test_damaged_texts_beside_the_array_are_written_anew(
    tmp_path: Path, values: np.ndarray, name: str, content: bytes | None
) -> None:
    first = representation(tmp_path)
    complete(first, values)
    path = first.path / name
    whole = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    again = representation(tmp_path)
    assert not again.is_complete()
    again.tidy()
    assert again.is_complete()
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(open_stored(first.key, tmp_path)[1][:], values)


@pytest.mark.parametrize("damage", [cut_short, zeroed, one_bit_flipped, two_chunks_swapped, chunk_missing])
def test_what_is_damaged_while_it_is_used_is_an_error(
    tmp_path: Path, values: np.ndarray, damage: Callable[[list[Path], Path], None]
) -> None:
    target = representation(tmp_path)
    complete(target, values)
    stored = target.finished()
    hurt(target.path / "concept_vectors", damage)
    np.testing.assert_array_equal(stored[4:6], values[4:6])
    for rows in (slice(None), slice(0, 1), [1, 5], 0):
        with pytest.raises(SemrsmError, match=r"was damaged or removed while this ran; run it again") as error:
            stored[rows]
        assert "\n" not in str(error.value)


def test_what_is_removed_while_it_is_used_is_an_error(tmp_path: Path, values: np.ndarray) -> None:
    target = representation(tmp_path)
    complete(target, values)
    stored = target.finished()
    shutil.rmtree(target.path)
    with pytest.raises(SemrsmError, match="was damaged or removed while this ran"):
        stored[0:1]


def test_what_does_not_fit_the_type_is_named(tmp_path: Path, values: np.ndarray) -> None:
    target = Writer({"layer": "a"}, IDS, chunk=CHUNK, precision=Precision.float16, root=tmp_path)
    values[3, 1, 0] = 1e6
    target.write(0, values[:2], None)
    with pytest.raises(SemrsmError, match=r"layer a of image image 3 is not finite in float16; set runtime\.precision"):
        target.write(1, values[2:4], None)
    assert target.missing() == [1, 2]


def test_a_complete_store_may_be_read_only(tmp_path: Path, values: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    complete(representation(tmp_path), values)
    tiles = TileFolder({"key": 1}, root=tmp_path)
    tiles.open((N, N), N)
    tiles.save(Tile(0, 0, (N, N), False), np.eye(N), np.eye(N))

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert representation(tmp_path).is_complete()
    assert open_stored(representation(tmp_path).key, tmp_path)[1].shape == (N, S, C)
    again = TileFolder({"key": 1}, root=tmp_path)
    again.open((N, N), N)
    assert again.load(Tile(0, 0, (N, N), False)) is not None
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
