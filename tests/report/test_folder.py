"""The folder of a run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from semrsm_cli.report.folder import RunFolder, file_name, new_folder


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


def test_names_lead_nowhere_and_stay_apart(folder: RunFolder) -> None:
    ordinary = ("retrieval_scenes", "layer1.0.sum_permutation", "SAM ViT,B32", "été 日本", "..hidden", "x" * 251, "")
    strange = (
        "x/../../../../pwn",
        "x_.._.._.._.._pwn",
        "/etc/pwn",
        "a/b",
        "a_b",
        "a\0b",
        "a\nb",
        "a\udce4b",
        "x" * 252,
    )
    for name in ordinary:
        assert file_name(name, ".csv") == f"{name}.csv"
    assert file_name("x/../a", ".csv").startswith("x_.._a_")
    assert len({file_name(name) for name in (*strange, ".", "..")}) == len(strange) + 2
    for name in strange:
        folder.data(name, pd.DataFrame({"a": [1]}))
    root = folder.path.parents[2]
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert len(files) == len(strange)
    assert {path.parent.as_posix() for path in files} == {"outputs/task/now/tables"}
    assert {path.suffix for path in files} == {".csv"}
    assert all(len(path.name.encode()) <= 255 for path in files)


def test_a_file_outside_of_the_folder_is_never_written(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semrsm_cli.report.folder.file_name", lambda name, suffix: name + suffix)
    with pytest.raises(ValueError, match="does not lie in"):
        folder.data("x/../../../pwn", pd.DataFrame({"a": [1]}))


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    place = tmp_path / "outputs" / "rsm" / "now"
    assert [Path(new_folder(str(place))).name for _ in range(3)] == ["now", "now_2", "now_3"]
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for broken in ("file/now", "link/now"):
        with pytest.raises(OSError):  # noqa: PT011, the system's own words
            new_folder(str(tmp_path / broken))


def test_a_rerun_removes_what_a_killed_run_had_begun_to_write(folder: RunFolder) -> None:
    folder.data("numbers", pd.DataFrame({"a": [1]}))
    begun = folder.path / "tables" / f".{'0f' * 16}.csv"
    own = folder.path / ".notes.txt"
    for path in (begun, own):
        path.write_text("a")
    RunFolder(folder.path, command=[]).data("others", pd.DataFrame({"a": [1]}))
    assert not begun.exists()
    assert own.exists()
    assert (folder.path / "tables" / "numbers.csv").exists()


def test_a_rerun_that_did_not_end_has_no_provenance_of_the_run_before(folder: RunFolder) -> None:
    folder.finish()
    again = RunFolder(folder.path, command=[])
    assert (folder.path / "run.json").exists()
    again.data("numbers", pd.DataFrame({"a": [1]}))
    assert not (folder.path / "run.json").exists()
