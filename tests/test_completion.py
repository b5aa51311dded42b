"""What bash, zsh and fish offer behind `semrsm TASK`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from semrsm_cli.cli import TASKS
from semrsm_cli.completion import complete, join_words
from semrsm_cli.composition import compose
from semrsm_cli.config.presets import conf_folder
from semrsm_cli.config_help import settings

Shell = dict[str, str]


def words(task: str, incomplete: str, *before: str) -> list[str]:
    return [word for word, _ in complete(task, before, incomplete)]


@pytest.mark.parametrize("task", TASKS)
def test_every_group_and_setting_is_offered_with_its_meaning(task: str) -> None:
    offered = dict(complete(task, [], ""))
    groups, config = compose(task)
    assert {*offered} >= {f"{name}=" for name in groups} | {f"{key}=" for key, _, _ in settings(config)}
    assert all(0 < len(meaning) <= 60 for word, meaning in offered.items() if word.endswith("="))


@pytest.mark.parametrize("group", ["model", "dataset", "kernel", "matching", "cluster"])
def test_every_option_of_a_group_is_offered(group: str) -> None:
    options = sorted(path.stem for path in (Path(conf_folder()) / group).glob("*.yaml"))
    assert words("rsm", f"{group}=") == [f"{group}={option}" for option in options]


def test_values_of_enumerations_are_offered_also_within_lists() -> None:
    assert words("rsm", "invariance=p") == ["invariance=permutation", "invariance=pooled"]
    assert words("retrieve", "kernels=[linear,c") == ["kernels=[linear,cosine"]
    assert words("report", "open=") == ["open=true", "open=false"]
    assert words("rsm", "model.framing=") == [f"model.framing={framing}" for framing in ("own", "squash", "pad")]
    assert words("rsm", "seed=1") == []
    assert words("store", "ch") == ["check"]


def test_a_single_name_shows_its_default_and_does_not_end_the_word() -> None:
    assert words("rsm", "see") == ["seed=", "seed=0"]


def test_settings_are_of_what_is_chosen_before() -> None:
    assert "dataset.root=" in words("retrieve", "dataset.", "dataset=folder")
    assert "dataset.n_videos=" not in words("retrieve", "dataset.", "dataset=folder")
    assert "dataset.n_videos=" in words("retrieve", "dataset.", "model=no_such_model")


def test_a_second_network_is_offered_the_same_options() -> None:
    assert words("cka", "model@model_b=resnet1") == ["model@model_b=resnet101", "model@model_b=resnet18"]


def test_files_are_offered_where_a_text_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.npy").touch()
    assert words("rsm", "x=mi") == ["x=mine/", "x=mine.npy"]


def test_words_that_bash_cut_are_joined() -> None:
    assert join_words(["a", "=", "b"], "c") == (["a=b"], "c")
    assert join_words(["a", "="], "b") == ([], "a=b")
    assert join_words(["x"], "=") == ([], "x=")
    assert join_words(["m", "@", "b", "="], "r") == ([], "m@b=r")
    assert join_words([], "m") == ([], "m")


# The shells themselves


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An environment in which `semrsm` is this checkout's."""
    script = tmp_path / "semrsm"
    script.write_text(f"#!{sys.executable}\nfrom semrsm_cli.cli import main\nmain()\n")
    script.chmod(0o755)
    checkout = str(Path(conf_folder()).parent)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": checkout, "COLUMNS": "80"}


def said(command: list[str], environment: Shell) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash(shell: Shell) -> None:
    """Bash cuts `model=resn` into three words, and puts in what it is told for the last one."""
    script = """
eval "$(semrsm --show-completion bash)"
COMP_WORDS=(semrsm rsm {typed}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_semrsm_completion semrsm; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    for typed, expected in (
        ("model = resn", ["resnet101", "resnet18", "resnet50"]),
        ("dataset = folder dataset.ro", ["dataset.root=", "dataset.root=null"]),
    ):
        output = said(["bash", "--norc", "-c", script.format(typed=typed)], shell)
        assert output.splitlines() == expected, typed


@pytest.mark.parametrize(
    ("name", "variables"), [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})], ids=["zsh", "fish"]
)
def test_what_zsh_and_fish_are_told(shell: Shell, name: str, variables: Shell) -> None:
    asked = {"_SEMRSM_COMPLETE": f"complete_{name}", "_TYPER_COMPLETE_ARGS": "semrsm rsm model=resn"}
    output = said(["semrsm"], shell | variables | asked)
    assert [f"model={option}" in output for option in ("resnet18", "resnet50", "vit_b16")] == [True, True, False]
