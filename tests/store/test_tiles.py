"""Tiles on disk: whatever is there when a run begins, its result is the same."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.rsm import Gram, Matcher, Tile, gram
from semrsm_cli.rsm import matcher as matcher_module
from semrsm_cli.rsm import plan as plan_module
from semrsm_cli.store import TileFolder

N, M, TILE = 7, 5, 2


@pytest.fixture(autouse=True, scope="module")
def small_tiles() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "_MAX_IMAGES", TILE)
        patch.setattr(plan_module, "_TILES_ON_A_SIDE", 1)
        for module in (affinities_module, matcher_module):
            patch.setattr(module, "PRODUCT_BYTES", 0)
        yield


@pytest.fixture(scope="module")
def sides() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 6, 4)).astype(np.float32), rng.normal(size=(M, 6, 4)).astype(np.float32)


def tile(row: int, col: int, shape: tuple[int, int] = (TILE, TILE)) -> Tile:
    return Tile(row, col, shape, False)


def all_tiles(m: int, symmetric: bool) -> list[Tile]:
    return [
        Tile(row, col, (min(TILE, N - row), min(TILE, m - col)), symmetric)
        for row in range(0, N, TILE)
        for col in range(row if symmetric else 0, m, TILE)
    ]


def opened(root: Path, key: int = 1, shape: tuple[int, int] = (N, M), tile_size: int = TILE) -> TileFolder:
    folder = TileFolder({"key": key}, root=root)
    folder.open(shape, tile_size)
    return folder


def test_tiles_come_back_to_the_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    tiles = opened(tmp_path)
    for part in (tile(2, 2), tile(6, 4, (1, 1))):  # a whole one, and the last, which is smaller than its chunk
        inner, bound = rng.normal(size=(2, *part.shape))
        assert tiles.load(part) is None
        tiles.save(part, inner, bound)
        found = opened(tmp_path).load(part)
        assert found is not None
        np.testing.assert_array_equal(found[0], inner)
        np.testing.assert_array_equal(found[1], bound)
    assert tiles.load(tile(0, 0)) is None


def test_other_settings_and_other_tiles_have_arrays_of_their_own(tmp_path: Path) -> None:
    part = tile(0, 0)
    opened(tmp_path).save(part, np.ones((2, 2)), np.ones((2, 2)))
    assert opened(tmp_path, key=2).load(part) is None
    assert opened(tmp_path, tile_size=3).load(Tile(0, 0, (3, 3), False)) is None
    assert opened(tmp_path).load(part) is not None, "of the first nothing was lost"


def test_a_tile_of_zeros_counts_as_finished_and_half_a_tile_does_not(tmp_path: Path) -> None:
    tiles = opened(tmp_path)
    tiles.save(tile(0, 0), np.zeros((2, 2)), np.zeros((2, 2)))
    assert tiles.load(tile(0, 0)) is not None
    tiles.inner.write(np.ones((TILE, TILE)), 1, 1)  # as a run leaves it that was killed between the two
    assert tiles.load(tile(2, 2)) is None


def test_a_few_images_take_little_room(tmp_path: Path) -> None:
    tiles = opened(tmp_path, shape=(3, 5), tile_size=128)
    part = tile(0, 0, (3, 5))
    tiles.save(part, np.ones(part.shape), np.ones(part.shape))
    assert tiles.load(part) is not None
    assert [path.stat().st_size for path in tiles.path.rglob("c/0/0")] == [3 * 5 * 8 + 4] * 2  # and a checksum


def test_threads_may_save_at_once(tmp_path: Path) -> None:
    tiles, parts = opened(tmp_path), all_tiles(M, False)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda part: tiles.save(part, np.full(part.shape, part.row), np.full(part.shape, part.col)), parts)
        )
    for part in parts:
        found = tiles.load(part)
        assert found is not None, part
        assert (found[0] == part.row).all(), part
        assert (found[1] == part.col).all(), part


def same(g: Gram, expected: Gram, what: object) -> None:
    """Both hold the same to the bit: all pairs of x and y, and those above the diagonal of x with itself."""
    above = (
        np.triu(np.ones(expected.inner.shape, bool), 1) if expected.symmetric else np.ones(expected.inner.shape, bool)
    )
    for name in ("inner", "bound"):
        ours, theirs = np.asarray(getattr(g, name)[:])[above], getattr(expected, name)[above]
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{name} {what}")
    np.testing.assert_array_equal(g.sq_x, expected.sq_x)
    np.testing.assert_array_equal(g.sq_y, expected.sq_y)


@settings(max_examples=25)
@given(data=st.data(), with_itself=st.booleans(), in_memory=st.booleans(), threads=st.integers(1, 3))
def test_order_leftovers_and_memory_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    sides: tuple,
    data: st.DataObject,
    with_itself: bool,
    in_memory: bool,
    threads: int,
) -> None:
    x, y = sides[0], None if with_itself else sides[1]
    expected = gram(x, y, matcher=Matcher(tolerance=1e-6))
    shape = (N, N if y is None else M)
    parts = data.draw(st.permutations(all_tiles(shape[1], with_itself)))
    finished = parts[: data.draw(st.integers(0, len(parts)))]  # by earlier runs, in any order
    root = tmp_path_factory.mktemp("store")
    earlier = opened(root, shape=shape)
    for part in finished:
        earlier.save(part, expected.inner[part.slices], expected.bound[part.slices])
    if data.draw(st.booleans()) and len(finished) < len(parts):  # and one was killed between the halves of a tile
        earlier.inner.write(np.full(parts[-1].shape, np.nan), parts[-1].row // TILE, parts[-1].col // TILE)
    computed = []
    tiles = opened(root, shape=shape)
    save = tiles.save
    tiles.save = lambda part, *values: (computed.append((part.row, part.col)), save(part, *values))  # type: ignore[method-assign]
    found = gram(x, y, matcher=Matcher(tolerance=1e-6), tiles=tiles, in_memory=in_memory, threads=threads)
    same(found, expected, (finished, threads))
    assert sorted(computed) == sorted((part.row, part.col) for part in parts[len(finished) :])
    again = gram(x, y, matcher=Matcher(tolerance=1e-6), tiles=opened(root, shape=shape), in_memory=not in_memory)
    same(again, expected, "taken from the store alone")
    for start, stop in ((0, N), (0, 3), (5, 7)):
        np.testing.assert_array_equal(found.rows(start, stop).inner, again.rows(start, stop).inner)


OPENED_AT_ONCE = """
import sys, time
from pathlib import Path
import numpy as np
from semrsm_cli.rsm import Tile
from semrsm_cli.store import TileFolder
root, number = Path(sys.argv[1]), int(sys.argv[2])
(root / f"ready {number}").touch()
while not (root / "go").exists():
    time.sleep(0.0005)
for key in range(10):
    tiles = TileFolder({"key": key}, root=root)
    tiles.open((8, 8), 2)
    tiles.save(Tile(2 * number, 0, (2, 2), False), np.full((2, 2), number), np.full((2, 2), key))
"""


def test_processes_may_open_a_new_folder_at_once(tmp_path: Path) -> None:
    n = 3
    command = [sys.executable, "-c", OPENED_AT_ONCE, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(i)], stderr=subprocess.PIPE, text=True) for i in range(n)]
    while not all((tmp_path / f"ready {i}").exists() or processes[i].poll() is not None for i in range(n)):
        pass
    (tmp_path / "go").touch()
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint
    for key, i in chain.from_iterable(((key, i) for i in range(n)) for key in range(10)):
        found = opened(tmp_path, key=key, shape=(8, 8)).load(tile(2 * i, 0))
        assert found is not None, (key, i)
        assert (found[0] == i).all(), (key, i)
        assert (found[1] == key).all(), (key, i)
