"""The command line: help, settings, errors, exit codes."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from semrsm_cli import __version__
from semrsm_cli.cli import TASKS

Command = Callable[..., Result]


def test_help_names_every_task(semrsm: Command) -> None:
    result = semrsm("--help")
    assert result.exit_code == 0
    assert all(task in result.output for task in TASKS)
    assert max(map(len, result.output.splitlines())) <= 80


def test_version(semrsm: Command) -> None:
    assert semrsm("--version").output == f"semrsm {__version__}\n"


@pytest.mark.parametrize("task", TASKS)
def test_task_help_shows_groups_and_defaults(semrsm: Command, task: str) -> None:
    result = semrsm(task, "--help")
    assert result.exit_code == 0
    assert "Config groups" in result.output
    if task != "report":  # draws nothing
        assert "seed=0" in result.output
        assert "Seed of everything that is drawn." in result.output
    assert "_schema" not in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_cfg_prints_the_composed_config(semrsm: Command) -> None:
    result = semrsm("translate", "kernel=linear", "--cfg", "job", "seed=3")
    assert result.exit_code == 0
    config = yaml.safe_load(result.stdout)
    assert (config["kernel"]["name"], config["seed"]) == ("linear", 3)
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["modle=resnet18"], "Key 'modle' not in 'TranslateConfig'; do you mean model?"),
        (["regions=9"], "do you mean dataset.regions?"),
        (["workers=2"], "do you mean runtime.workers?"),
        (["frobnicate=1"], "`semrsm translate --help` lists all settings"),
        (["model=foo"], "no config 'model/foo', choose from"),
        (["dataset=foo"], "no config 'dataset/foo', choose from"),
        (["model=timm"], "model.name has no default; give model.name=VALUE"),
        (["seed=abc"], "could not be converted to Integer"),
        (["nokey"], "missing EQUAL"),
        (["n_pairs=1"], "n_pairs must be at least 2, got 1"),
        (["size=64", "crop=84"], "size must be larger than crop, got size=64 and crop=84"),
        (["matching.tolerance=0"], "matching.tolerance must lie between 0 and 1, got 0.0"),
        (["runtime.workers=0"], "runtime.workers must be at least 1, got 0"),
        (["kernel.sigma=-1"], "kernel.sigma must be above 0 and finite, got -1.0"),
        (["kernel.sigma=inf"], "kernel.sigma must be above 0 and finite, got inf"),
        (["seed=-1"], "seed must be at least 0 and below 2**32, got -1"),
        (["runtime.device=warp"], "runtime.device=warp is not available"),
        (["+foo=1"], "foo"),
    ],
)
def test_wrong_setting_is_one_line_and_exit_2(semrsm: Command, arguments: list[str], complaint: str) -> None:
    result = semrsm("translate", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.startswith("semrsm translate: ")
    assert result.stderr.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["dataset=folder"], "dataset.root"),
        (["dataset=folder", "dataset.root=nowhere"], "nowhere"),
        (["model.layers=[nothing]"], "nothing"),
        (["model.weights=nowhere.safetensors"], "nowhere.safetensors"),
        (["model=resnet18"], "microsoft/resnet-18"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_1(semrsm: Command, arguments: list[str], complaint: str) -> None:
    result = semrsm("translate", *arguments)
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("outputs").exists()


def test_flags_that_exclude_each_other(semrsm: Command) -> None:
    result = semrsm("translate", "--cfg", "job", "--multirun")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_bug_keeps_its_traceback(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("semrsm_cli.tasks.translate.open_images", broken)
    result = semrsm("translate")
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("folder", ["file", "file/below"])
@pytest.mark.parametrize("variable", ["SEMRSM_CACHE", "hydra.run.dir"])
def test_folder_that_cannot_be_made_is_one_line(
    semrsm: Command, monkeypatch: pytest.MonkeyPatch, variable: str, folder: str
) -> None:
    Path("file").touch()
    if variable == "SEMRSM_CACHE":
        monkeypatch.setenv(variable, folder)
    result = semrsm("translate", *([f"hydra.run.dir={folder}"] if variable == "hydra.run.dir" else []))
    assert result.exit_code == 1
    assert result.stderr.startswith("semrsm translate: cannot write file")
    assert f"{variable}=DIR" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write: No space left on device"),
        (
            OSError("Not enough free space to write 80 bytes after offset 8"),
            "cannot write: Not enough free space to write 80 bytes after offset 8",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "val"), "cannot read or write val: Permission denied"),
    ],
)
def test_full_or_forbidden_disk_is_one_line(
    semrsm: Command, monkeypatch: pytest.MonkeyPatch, error: OSError, complaint: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("semrsm_cli.tasks.translate.open_images", refuse)
    result = semrsm("translate")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"semrsm translate: {complaint}; ")
    assert result.stderr.count("\n") == 1


def test_other_error_of_the_system_keeps_its_traceback(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ChildProcessError(errno.ECHILD, "a bug")

    monkeypatch.setattr("semrsm_cli.tasks.translate.open_images", broken)
    assert isinstance(semrsm("translate").exception, ChildProcessError)


def test_interrupt_ends_with_130(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("semrsm_cli.tasks.translate.open_images", interrupted)
    result = semrsm("translate")
    assert result.exit_code == 130
    assert "run it again" in result.stderr
