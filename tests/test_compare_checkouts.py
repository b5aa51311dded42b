"""The script that compares two checkouts: what it runs, how it translates, what it calls the same."""

import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.cli import TASKS

ROOT = Path(__file__).parents[1]
specification = spec_from_file_location("compare_checkouts", ROOT / "scripts" / "compare_checkouts.py")
script = module_from_spec(specification)
specification.loader.exec_module(script)


def test_every_subcommand_and_every_experiment_is_run():
    assert {name.split("/")[0] for name in script.RUNS} == set(TASKS) - {"data", "store"}  # which leave no numbers
    settings = " ".join(script.RUNS.values()).split()
    experiments = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    wanted = {name for name in experiments if not name.startswith("train_")}  # run by their recipes
    assert {setting.removeprefix("experiment=") for setting in settings if "experiment=" in setting} == wanted
    assert {f"recipe={path.stem}" for path in (ROOT / "conf" / "recipe").glob("*.yaml")} <= {*settings, "recipe=small"}


def test_old_names_of_settings_and_folders():
    assert script.in_old_words("cka", ["x=[a=b]", "runtime.threads=2", "seed=1", "--multirun"]) == [
        *("a=[a=b]", "runtime.workers=2", "seed=1", "--multirun")
    ]
    assert script.in_old_words("rsm", ["x=x.npy", "matching.n_exact=3"]) == ["x=x.npy", "matching.k=3"]
    assert script.command_line("rsm/default", old_words=False) == ["rsm", "hydra.run.dir=outputs/rsm/default"]
    command = script.command_line("train/small", old_words=True)
    assert command[:3] == ["train", "hydra.sweep.dir=outputs/train/small", "--multirun"]
    for name in script.RUNS:
        assert "recipe." not in " ".join(script.command_line(name, old_words=True))


def two_runs(folder: Path) -> tuple[Path, Path]:
    """The same run twice, with other settings."""
    for side in ("old", "new"):
        for kind in ("tables", "arrays", "figures"):
            (folder / side / kind).mkdir(parents=True)
        (folder / side / "run.json").write_text(side)
        (folder / side / "checkpoint.json").write_text("{}")
        (folder / side / "tables" / "matching.csv").write_text("method,seconds_mean,value\noptimal,0.1,2\n")
        np.save(folder / side / "arrays" / "rsm.npy", np.ones(3))
    return folder / "old", folder / "new"


def test_same_files_are_equal_whatever_run_json_says(tmp_path):
    assert script.compare(*two_runs(tmp_path), "cka/x") == (True, "3 files equal")


def test_times_are_left_out_where_they_are_expected_only(tmp_path):
    old, new = two_runs(tmp_path)
    (new / "tables" / "matching.csv").write_text("method,seconds_mean,value\noptimal,0.2,2\n")
    assert script.compare(old, new, "bench/x") == (True, "3 files equal")
    equal, line = script.compare(old, new, "cka/x")
    assert not equal
    assert line == "2 files equal; DIFFERING: tables/matching.csv (1 numbers, by up to 5.0e-01)"


def test_what_differs_is_measured_and_what_lacks_is_named(tmp_path):
    old, new = two_runs(tmp_path)
    np.save(new / "arrays" / "rsm.npy", np.array([1, 1, 1.25]))
    (new / "checkpoint.json").unlink()
    equal, line = script.compare(old, new, "cka/x")
    assert not equal
    assert "arrays/rsm.npy (1 numbers, by up to 2.0e-01)" in line
    assert line.endswith("MISSING in new: checkpoint.json")
    assert script.compare(tmp_path / "nothing", tmp_path / "nothing", "cka/x") == (False, "0 files equal")


@pytest.mark.parametrize(("x", "is_same"), [("0", True), ("-0", True), ("-0.5", False), ("10", False)])
def test_pdfs_may_differ_in_the_sign_of_zero(tmp_path, x, is_same):
    paths = []
    for name, drawing in (("old", "0 0 m 747 0 l"), ("new", f"0 0 m 747 {x} l")):
        stream = zlib.compress(drawing.encode())
        body = b"9 0 obj\nstream\n" + stream + b"\nendstream\nendobj\n12 0 obj\n%d\nendobj" % len(stream)
        paths.append(tmp_path / f"{name}.pdf")
        paths[-1].write_bytes(body + b"\nxref\n0 12\n%d" % len(body))
    assert script.same_content(*paths) == is_same


def test_imitations_are_made_once_in_the_native_layouts(tmp_path):
    root = tmp_path / "data"
    script.write_data(root)
    patterns = {
        "imagenet/test/*.JPEG": 120,
        "tiny-imagenet-200/train/*/images/*.JPEG": 32,
        "egoobjects/images/*.jpg": 122,
        "cityscapes/leftImg8bit/train/*/*_leftImg8bit.png": 24,
        "cityscapes/gtFine/val/*/*_gtFine_labelIds.png": 8,
    }
    assert {pattern: len(list(root.glob(pattern))) for pattern in patterns} == patterns
    (root / "x.npy").unlink()
    script.write_data(root)
    assert not (root / "x.npy").exists()
