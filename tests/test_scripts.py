"""The script that reproduces the paper, with a command in place of `semrsm` that only writes down how it was called."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from semrsm_cli.cli import TASKS
from semrsm_cli.launch import _conf_folder

SCRIPT = Path(_conf_folder()).parent / "scripts" / "reproduce_paper.sh"
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
    in_small = {"cka_trained"}  # what Figures 15 to 17 show, on networks trained in a minute
    assert named | in_small == {path.stem for path in (Path(_conf_folder()) / "experiment").glob("*.yaml")}
    assert calls[-1] == "report runs=outputs/paper hydra.run.dir=outputs/paper/report"


def test_what_fails_is_named_and_the_rest_runs(tmp_path: Path) -> None:
    done, calls = reproduce(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "failed: table1 table4"
    assert any(call.startswith("cka") for call in calls)


def test_some_tables_with_settings_for_all(tmp_path: Path) -> None:
    done, calls = reproduce(tmp_path, "table3", "figure2", OVERRIDES="runtime.device=cuda seed=1", OUT="elsewhere")
    assert done.returncode == 0
    assert calls == [
        "translate hydra.run.dir=elsewhere/figure2 experiment=translate_fig2 runtime.device=cuda seed=1",
        "retrieve --multirun hydra.sweep.dir=elsewhere/table3 experiment=retrieve_table3 runtime.device=cuda seed=1",
        "report runs=elsewhere hydra.run.dir=elsewhere/report",
    ]
