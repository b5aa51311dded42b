"""Hashes of files that are remembered: never wrong, whatever happens to them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.store import FileHashes
from semrsm_cli.store.hashes import HASHES

N = 4


class Reads:
    """Hashes files, and notes which."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path: Path) -> str:
        self.paths.append(path.name)
        return f"{int.from_bytes(path.read_bytes()):032x}"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that are old enough, since the clock is an hour ahead."""
    now = time.time_ns()
    monkeypatch.setattr("semrsm_cli.store.hashes.time.time_ns", lambda: now + 3600 * 10**9)
    paths = [tmp_path / f"{i}" for i in range(N)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]))
    return paths


def hashes(root: Path, paths: list[Path]) -> tuple[list[str], list[str]]:
    """The hashes of files, and which files were read for them."""
    reads = Reads()
    with FileHashes(reads, root) as remembered:
        return [remembered(path) for path in paths], reads.paths


RIGHT = [f"{i:032x}" for i in range(N)]


def test_a_file_is_read_once(tmp_path: Path, files: list[Path]) -> None:
    assert hashes(tmp_path, files) == (RIGHT, ["0", "1", "2", "3"])
    assert hashes(tmp_path, files) == (RIGHT, [])
    assert hashes(tmp_path / "another store", files)[1] == ["0", "1", "2", "3"]


def test_files_that_change_places_are_read_again(tmp_path: Path, files: list[Path]) -> None:
    for path in files:
        os.utime(path, (1, 1))
    hashes(tmp_path, files)
    files[0].rename(tmp_path / "x")
    files[1].rename(files[0])
    (tmp_path / "x").rename(files[1])
    assert hashes(tmp_path, files) == ([RIGHT[1], RIGHT[0], *RIGHT[2:]], ["0", "1"])


def test_young_files_are_not_trusted(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    born = max(files[0].stat().st_mtime_ns, files[0].stat().st_ctime_ns)
    for age, trusted in ((-(10**9), False), (0, False), (2 * 10**9 - 1, False), (2 * 10**9, True)):
        monkeypatch.setattr("semrsm_cli.store.hashes.time.time_ns", lambda age=age: born + age)
        root = tmp_path / f"store {age}"
        hashes(root, files[:1])
        assert (hashes(root, files[:1])[1] == []) is trusted, age


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path: Path, files: list[Path]) -> None:
    def rewrite(path: Path) -> str:
        content = f"{int.from_bytes(path.read_bytes()):032x}"
        path.write_bytes(b"another")
        return content

    with FileHashes(rewrite, tmp_path) as remembered:
        remembered(files[0])
    assert hashes(tmp_path, files[:1]) == ([f"{int.from_bytes(b'another'):032x}"], ["0"])


def test_a_missing_file_is_for_its_reader_to_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), FileHashes(Reads(), tmp_path) as remembered:
        remembered(tmp_path / "nothing")


def test_damage_costs_no_more_than_reading_again(tmp_path: Path, files: list[Path]) -> None:
    hashes(tmp_path, files)
    place = tmp_path / HASHES
    whole = place.read_bytes()
    damages: dict[str, Callable[[], object]] = {
        "empty": lambda: place.write_bytes(b""),
        "garbage": lambda: place.write_bytes(bytes(range(256)) * 9),
        "missing": place.unlink,
        "a folder": lambda: (place.unlink(), place.mkdir()),
    }
    for name, damage in damages.items():
        damage()
        assert hashes(tmp_path, files)[0] == RIGHT, name
        if place.is_dir():
            place.rmdir()
        place.write_bytes(whole)
    assert hashes(tmp_path, files)[1] == []


@given(data=st.data())
def test_no_damage_gives_a_wrong_hash(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("store")
    paths = [root / f"{i}" for i in range(N)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("semrsm_cli.store.hashes._RACY_NS", 0)
        for i, path in enumerate(paths):
            path.write_bytes(bytes([i]))
        assert hashes(root, paths)[0] == RIGHT
        content = bytearray((root / HASHES).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(content)))
            end = data.draw(st.integers(start, min(len(content), start + 90)))
            content[start:end] = data.draw(st.binary(max_size=40) | st.just(bytes(content[:99])))
        (root / HASHES).write_bytes(content)
        assert hashes(root, paths)[0] == RIGHT
        assert hashes(root, paths) == (RIGHT, []), "it heals"


def test_a_store_that_cannot_be_written_is_no_error(files: list[Path]) -> None:
    assert hashes(Path("/dev/null/store"), files) == (RIGHT, ["0", "1", "2", "3"])


HASHED_AT_ONCE = """
import sys
import time
from pathlib import Path
from semrsm_cli.store import FileHashes
from semrsm_cli.store import hashes
hashes._RACY_NS = 0
root = Path(sys.argv[1])
for _ in range(30):
    with FileHashes(lambda path: f"{int(path.name):032x}", root) as remembered:
        for path in sorted((root / "files").iterdir()):
            assert remembered(path) == f"{int(path.name):032x}", path
    (root / hashes.HASHES).unlink(missing_ok=True)
"""


def test_processes_may_share_it(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for i in range(50):
        (tmp_path / "files" / f"{i}").touch()
    command = [sys.executable, "-c", HASHED_AT_ONCE, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint
