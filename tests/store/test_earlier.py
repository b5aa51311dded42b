"""Stores that earlier versions of the program wrote: named as such, never taken for damaged or for today's."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.stages import VERSIONS
from semrsm_cli.store import Precision, TileFolder, Writer, damaged_parts, list_entries, open_stored
from tests.command import Command, command_in, succeed

HERE = Path(__file__).parent / "earlier"
FORMAT_1, STAGES_1 = "7dcf9af25fa4293cf21d39c7f1b50e04", "c2de63a87aff03170713ed9446aa29f2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with what three versions left, today's last."""
    root = tmp_path / "cache"
    for version in ("format_1", "format_2_stages_1"):
        shutil.copytree(HERE / version, root, dirs_exist_ok=True)
    stages = {name: VERSIONS[name] for name in ("images", "representations")}
    settings = {"layer": "blocks.5", "dataset": "photos", "network": {"name": "EfficientNet-Lite0"}, "stages": stages}
    writer = Writer(settings, ["a", "b", "c"], chunk=3, precision=Precision.float32, root=root)
    writer.write(0, np.ones((3, 4, 2), np.float32), None)
    TileFolder({"compared": "x", "stages": {"matching": VERSIONS["matching"]}}, root).open((3, 3), 3)
    return root


@pytest.fixture
def semrsm(tmp_path: Path, root: Path) -> Iterator[Command]:
    with command_in(tmp_path, root) as command:
        yield command


def test_each_says_which_version_it_is_of(root: Path) -> None:
    told = sorted((str(entry.kind), entry.version) for entry in list_entries(root))
    stages = "images 1, representations 1"
    assert told == [
        *(("representations", version) for version in ("", "format 1", stages)),
        *(("tiles", version) for version in ("", "", "format 1")),  # tiles did not tell their stages then
    ]
    assert all("photos, 3x4x2" in entry.content for entry in list_entries(root) if entry.kind == "representations")


def test_none_is_damaged(root: Path, semrsm: Command, caplog: pytest.LogCaptureFixture) -> None:
    assert [damaged_parts(entry) for entry in list_entries(root)] == [0] * 6
    assert not caplog.records
    assert "all is as it was written" in succeed(semrsm("store", "check")).stderr


def test_the_store_names_them_and_clears_them_alone(root: Path, semrsm: Command) -> None:
    result = succeed(semrsm("store"))
    assert "3 of them are of other versions, and not read by runs: semrsm store clear earlier=true" in result.stderr
    assert result.stdout.count("format 1: ") == 2
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert succeed(semrsm("store", "clear", "earlier=true", "dry_run=true")).stdout.count("would be") in (1, 3)
    succeed(semrsm("store", "clear", "earlier=true"))
    assert len(list_entries(root)) == 3
    assert not any(entry.version for entry in list_entries(root))


def test_one_without_checksums_is_named_when_it_is_opened(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    complaint = rf"{FORMAT_1} was stored by another version \(format 1, today's is 2\) and is not read; run the same"
    with pytest.raises(SemrsmError, match=complaint):
        open_stored(FORMAT_1, root)
    assert not caplog.records


def test_one_of_an_earlier_stage_is_read_and_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        layer, stored = open_stored(STAGES_1, root)
    assert layer == "blocks.5"
    np.testing.assert_array_equal(np.asarray(stored).ravel(), np.arange(24))
    assert "is read as an earlier version stored it (images 1, representations 1)" in caplog.text


def test_a_later_format_is_not_read_either(root: Path) -> None:
    path = root / "representations" / STAGES_1 / "zarr.json"
    metadata = json.loads(path.read_text())
    metadata["attributes"]["settings"]["format"] = 3
    path.write_text(json.dumps(metadata))
    with pytest.raises(SemrsmError, match=r"stored by another version \(format 3, images 1, "):
        open_stored(STAGES_1, root)
