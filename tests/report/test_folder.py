"""The folder of a run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from semrsm_cli.report.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "outputs" / "task" / "now", command=["semrsm task", "seed=1"], settings="seed: 1\n")


def test_writes_tables_figures_arrays_and_provenance(folder: RunFolder) -> None:
    figure = Figure()
    figure.subplots().plot([0, 1])
    with folder.timed("work"):
        folder.table("numbers", pd.DataFrame({"a": [1.5]}))
        folder.array("rsm", np.eye(2))
        folder.figure("line", figure)
    folder.note(seed=1)
    folder.finish()
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert names == {
        *(f"tables/numbers.{suffix}" for suffix in ("csv", "md", "tex")),
        *(f"figures/line.{suffix}" for suffix in ("png", "pdf")),
        "arrays/rsm.npy",
        "config.yaml",
        "run.json",
    }
    run = json.loads((folder.path / "run.json").read_text())
    assert run["command"] == ["semrsm task", "seed=1"]
    assert run["seed"] == 1
    assert set(run["seconds"]) == {"work", "total"}
    assert run["versions"]["numpy"] == np.__version__
    assert run["peak_memory_mib"] > 0
    assert 1 <= run["machine"]["usable_cores"] <= run["machine"]["cores"]


def test_figures_of_the_same_picture_have_the_same_bytes(folder: RunFolder, tmp_path: Path) -> None:
    again = RunFolder(tmp_path / "again", command=[])
    for target in (folder, again):
        figure = Figure()
        figure.subplots().plot([0, 1])
        target.figure("line", figure)
    for name in ("figures/line.png", "figures/line.pdf"):
        assert (folder.path / name).read_bytes() == (again.path / name).read_bytes()


def test_failed_write_leaves_nothing(folder: RunFolder) -> None:
    class Broken:
        def savefig(self, path: Path, **_: object) -> None:
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.figure("line", Broken())  # type: ignore[arg-type]
    assert not [path for path in folder.path.rglob("*") if path.is_file()]


def test_run_that_wrote_nothing_leaves_no_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "outputs" / "task" / "now", command=[])
    folder.path.mkdir(parents=True)
    folder.remove_if_empty()
    assert not (tmp_path / "outputs").exists()


def test_folder_of_another_run_stays(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    (folder.path.parent / "yesterday").mkdir()
    folder.remove_if_empty()
    assert (folder.path.parent / "yesterday").exists()
