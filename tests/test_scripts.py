"""The script that reproduces the paper, with a command in place of `semrsm` that only writes down how it was called."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from semrsm_cli.cli import TASKS
from semrsm_cli.config.presets import conf_folder

SCRIPT = conf_folder().parent / "scripts" / "reproduce_paper.sh"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the scripts lie in a checkout only")

PRETENDED = """#!/usr/bin/env bash
echo "$@" >> calls
[[ $1 != correlate ]]
"""


def reproduce(folder: Path, *names: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script in a folder; what it did, and the calls of `semrsm`, of which `correlate` fails."""
    command = folder / "bin" / "semrsm"
    command.parent.mkdir()
    command.write_text(PRETENDED)
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"} | variables
    done = subprocess.run(
        ["bash", SCRIPT, *names], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done, (folder / "calls").read_text().splitlines()


def test_every_experiment_is_run_and_every_run_exists(tmp_path: Path) -> None:
    _, calls = reproduce(tmp_path)
    assert {call.split()[0] for call in calls} <= set(TASKS)
    named = {name for call in calls for name in re.findall(r"experiment=(\w+)", call)}
    others = {"cka_trained", "translate_fig2_hub"}  # for those without the trained networks
    assert named | others == {path.stem for path in (conf_folder() / "experiment").glob("*.yaml")}


def test_what_fails_is_named_and_the_rest_runs(tmp_path: Path) -> None:
    done, calls = reproduce(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "failed: table1 table4 sensitivity_imagenet"
    assert any(call.startswith("cka") for call in calls)


def test_steps_that_run_at_once_are_the_same_and_wait_for_their_networks(tmp_path: Path) -> None:
    alone, one_by_one = reproduce(tmp_path)
    (tmp_path / "several").mkdir()
    done, calls = reproduce(tmp_path / "several", JOBS="4")
    assert sorted(calls) == sorted(one_by_one)
    assert {call.split()[0] for call in calls[:3]} == {"train"}
    assert done.stderr.splitlines()[-1] == alone.stderr.splitlines()[-1]
    assert done.returncode == 1


def test_some_tables_with_settings_for_all(tmp_path: Path) -> None:
    done, calls = reproduce(tmp_path, "table3", "figure2", OVERRIDES="runtime.device=cuda seed=1", OUT="elsewhere")
    assert done.returncode == 0
    assert calls == [
        "translate hydra.run.dir=elsewhere/figure2 experiment=translate_fig2 runtime.device=cuda seed=1",
        "retrieve --multirun hydra.sweep.dir=elsewhere/table3 experiment=retrieve_table3 runtime.device=cuda seed=1",
    ]  # and no report, since nothing was left


def test_the_report_comes_last(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    _, calls = reproduce(tmp_path, "table3", OUT="elsewhere")
    assert calls[-1] == "report runs=elsewhere hydra.run.dir=elsewhere/report"


def test_some_settings_for_one_step(tmp_path: Path) -> None:
    own = {"OVERRIDES_figure16_imagenet": "n_images=7 size=64", "OVERRIDES_table3": "seed=2"}
    _, calls = reproduce(tmp_path, "figure16_imagenet", "figure2", OVERRIDES="seed=1", **own)
    assert [call.split("experiment=")[1] for call in calls] == [
        "translate_fig2 seed=1",
        "cka_fig16 dataset=imagenet seed=1 n_images=7 size=64",
    ]


def test_the_steps_are_listed(tmp_path: Path) -> None:
    done, _ = reproduce(tmp_path)
    steps = re.findall(r"^== (\w+):", done.stdout, flags=re.MULTILINE)
    listed = re.search(r"# Steps: (.*?)\n#\n", SCRIPT.read_text(), flags=re.DOTALL)
    assert listed[1].replace("#", "").split() == steps
