"""`semrsm store`: what it lists, what it finds damaged, what it removes and what it leaves."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.rsm import Tile
from semrsm_cli.store import FileHashes, Precision, TileFolder, Writer, list_entries, locked, open_stored
from tests.command import Command, command_in, refuse, succeed

DAY = 86400


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def semrsm(tmp_path: Path, root: Path) -> Iterator[Command]:
    """The command with a store of its own."""
    with command_in(tmp_path, root) as command:
        yield command


@pytest.fixture
def keys(root: Path) -> dict[str, str]:
    """A store that holds one entry of each kind."""
    settings = {"layer": "blocks.5", "dataset": "photos", "network": {"name": "a/network-with-a-rather-long-name"}}
    writer = Writer(settings, ["a", "b", "c"], chunk=2, precision=Precision.float32, root=root)
    for i, n in enumerate((2, 1)):
        writer.write(i, np.ones((n, 4, 2), np.float32), None)
    writer.finished()
    tiles = TileFolder({"key": 1}, root, about={"invariance": "permutation", "compared": "blocks.5"})
    tiles.open((3, 3), 3)
    tiles.save(Tile(0, 0, (3, 3), False), np.eye(3), np.eye(3))
    with FileHashes(lambda path: "0" * 32, root) as remembered:
        old = root / "file"
        old.touch()
        os.utime(old, (1, 1))
        remembered(old)
    (root / "hashes.txt").touch()
    unfinished = root / "tiles" / f".{'0a' * 16}"
    unfinished.write_bytes(b"half")
    os.utime(unfinished, (time.time() - DAY,) * 2)
    (root / "representations" / f".{'0b' * 16}").touch()  # which a run may be writing now
    return {"representations": writer.key, "tiles": tiles.key, "unfinished": "0a" * 16, "hashes": "hashes"}


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line.split() and line.split()[0] != "key"]


def left(root: Path) -> set[str]:
    return {str(entry.kind) for entry in list_entries(root)}


def test_it_lists_what_it_holds_and_leaves_no_run(semrsm: Command, root: Path, keys: dict[str, str]) -> None:
    for words in ((), ("list",), ("action=list",)):
        result = succeed(semrsm("store", *words))
        for kind, key in keys.items():
            (line,) = (line for line in result.stdout.splitlines() if f" {kind}" in line)
            assert key[:8] in line
        assert "-long-name, blocks.5, photos, 3x4x2" in result.stdout
        assert "permutation, blocks.5, 3x3" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert f"{root}: 4 entries, " in result.stderr
        assert not Path("outputs").exists()
    assert "blocks.5, photos" not in succeed(semrsm("store", "kind=tiles")).stdout
    assert "tiles" not in succeed(semrsm("store", f"key={keys['representations'][:5]}")).stdout


def test_an_empty_store_holds_nothing(semrsm: Command, root: Path) -> None:
    result = succeed(semrsm("store"))
    assert (result.stdout, result.stderr) == ("", f"{root}: 0 entries, 0 Bytes\n")
    assert not root.exists()


def test_check_finds_nothing_where_all_is_whole(semrsm: Command, keys: dict[str, str]) -> None:
    assert "all is as it was written" in succeed(semrsm("store", "check")).stderr


@pytest.mark.parametrize("name", ["concept_vectors/c/0/0/0", "concept_vectors/zarr.json", "inner/c/0/0", "bound/c/0/0"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_check_names_what_is_damaged(semrsm: Command, root: Path, keys: dict[str, str], name: str, damage: str) -> None:
    (path,) = (path for path in root.rglob("*") if str(path).endswith(name))
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut" else bytes([content[0] ^ 1]) + content[1:])
    result = semrsm("store", "check")
    kind = "representations" if "concept" in name else "tiles"
    assert result.exit_code == 1
    assert f"1 of 4 entries are damaged: {kind} {keys[kind]} (1 parts)" in result.stderr.splitlines()[-1]
    assert all("Traceback" not in line for line in result.stderr.splitlines())
    assert (str(path) if not name.endswith("zarr.json") else str(path.parent)) in result.stderr
    assert path.exists() is (damage != "missing"), "checking changes nothing"


def test_clear_removes_what_was_not_used_for_long(semrsm: Command, root: Path, keys: dict[str, str]) -> None:
    for path in (root / "tiles").glob("*/*/last_used"):
        os.utime(path, (time.time() - 40 * DAY,) * 2)
    for path in (root / "tiles" / keys["tiles"]).rglob("*"):
        os.utime(path, (time.time() - 40 * DAY,) * 2)
    told = succeed(semrsm("store", "clear", "older_than=30d", "dry_run=true")).stdout
    assert "would be" in told
    assert keys["tiles"][:8] in told
    assert keys["representations"][:8] not in told
    assert left(root) == set(keys)
    assert "yes" in succeed(semrsm("store", "clear", "older_than=30d")).stdout
    assert left(root) == set(keys) - {"tiles"}
    assert open_stored(keys["representations"], root)[1].shape == (3, 4, 2)


def test_clear_takes_a_kind_or_a_key(semrsm: Command, root: Path, keys: dict[str, str]) -> None:
    succeed(semrsm("store", "clear", "kind=unfinished"))
    assert left(root) == set(keys) - {"unfinished"}
    succeed(semrsm("store", "clear", f"key={keys['representations']}"))
    assert left(root) == {"tiles", "hashes"}
    succeed(semrsm("store", "clear", "older_than=0s"))
    assert left(root) == set()


def test_clear_leaves_what_a_run_is_filling(semrsm: Command, root: Path, keys: dict[str, str]) -> None:
    with locked(keys["tiles"], root):
        table = succeed(semrsm("store", "clear", "older_than=0s")).stdout
    assert left(root) == {"tiles"}
    assert {"no, in use" in line for line in table.splitlines() if " tiles " in line} == {True}


def test_using_an_entry_is_noted(root: Path, keys: dict[str, str]) -> None:
    folder = root / "representations" / keys["representations"]
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1, 1))
    assert [entry.used for entry in list_entries(root) if entry.kind == "representations"] == [1]
    open_stored(keys["representations"], root)
    (entry,) = (entry for entry in list_entries(root) if entry.kind == "representations")
    assert time.time() - entry.used < 60
    assert entry.made == 1


def test_wrong_settings_are_refused(semrsm: Command, keys: dict[str, str]) -> None:
    for arguments, complaint in (
        (("clear",), "action=clear needs to know what: give older_than=30d"),
        (("clear", "older_than=soon"), "older_than must be a number and s, m, h, d or w, such as 30d, got soon"),
        (("older_than=30",), "older_than must be a number and s, m, h, d or w, such as 30d, got 30"),
        (("older_than=-1d",), "older_than must be a number"),
        (("chek",), "there is no chek; choose from list, check, clear"),
        (("kind=cats",), "kind"),
        (("seed=1",), "seed"),
    ):
        refuse(semrsm, "store", *arguments, complaint=complaint, exit_code=2)


def test_what_is_no_entry_is_listed_as_damaged_or_unfinished(semrsm: Command, root: Path) -> None:
    (root / "representations" / "x").mkdir(parents=True)
    (root / "tiles" / "y").mkdir(parents=True)
    (root / "tiles" / "file").write_text("?")
    assert succeed(semrsm("store")).stdout.count("not finished, or damaged") in (1, 3)
    succeed(semrsm("store", "check"))
    succeed(semrsm("store", "clear", "older_than=0s"))
    assert left(root) == set()
