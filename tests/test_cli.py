"""The command line: help, settings, errors, exit codes."""

import errno
import os
import resource
import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from semrsm_cli import __version__
from semrsm_cli.cli import TASKS, _Interrupt
from semrsm_cli.config.arguments import _is_list, as_override
from semrsm_cli.config.renamed import RENAMED
from semrsm_cli.config.schemas import TASKS as SCHEMAS
from semrsm_cli.config.schemas import register_schemas
from semrsm_cli.errors import SemrsmError
from semrsm_cli.launch import _explain_disk_errors
from semrsm_cli.report.folder import RunFolder
from tests.command import Command, refuse, succeed

Calls = list[tuple[Any, Path]]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> "Calls":
    """No task does anything; with which settings, and to which folder, each was called."""
    calls: Calls = []

    def task(settings: Any, folder: Any) -> pd.DataFrame:
        calls.append((settings, folder.path))
        return pd.DataFrame({"done": [1]})

    for name in TASKS:
        monkeypatch.setattr(f"semrsm_cli.tasks.{name}.{name}", task)
    monkeypatch.setattr("semrsm_cli.launch._require_place", lambda config: None)  # nothing is read
    return calls


# Help


def test_help_names_every_task(semrsm: Command) -> None:
    result = succeed(semrsm("--help"))
    assert all(task in result.output for task in TASKS)
    assert max(map(len, result.output.splitlines())) <= 80


def test_version(semrsm: Command) -> None:
    assert semrsm("--version").output == f"semrsm {__version__}\n"


def test_task_help_shows_groups_and_defaults(semrsm: Command) -> None:
    for task in TASKS:
        output = succeed(semrsm(task, "--help")).output
        assert "Config groups" in output, task
        if task not in ("data", "report", "store"):  # draw nothing
            assert "seed=0" in output, task
            assert "Seed of everything that is drawn." in output, task
        assert "_schema" not in output, task
        assert max(map(len, output.splitlines())) <= 80, task


def test_help_explains_what_a_group_adds(semrsm: Command) -> None:
    output = succeed(semrsm("train", "--help")).output
    assert "recipe: cifar100, imagenet, small, tiny_imagenet" in output
    assert "recipe.epochs=10" in output
    assert "experiment: train_networks" in output
    output = succeed(semrsm("retrieve", "--help")).output
    for name in ("dataset.split_file=null", "matching.n_exact=128", "n_neighbours=5", "runtime.threads=null"):
        assert name in output, name


def test_help_breaks_lists_between_their_values(semrsm: Command) -> None:
    lines = succeed(semrsm("bench", "--help")).output.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  methods=["))
    assert lines[first].endswith("batch_optimal,")
    assert lines[first + 1] == "      topk_greedy,greedy,diagonal]"


def test_help_is_of_what_is_chosen(semrsm: Command) -> None:
    output = succeed(semrsm("retrieve", "dataset=folder", "model=timm", "--help")).output
    assert "dataset.root=" in output
    assert "model.source=timm" in output
    assert "model.label=(follows from model.name)" in " ".join(output.split())
    assert "model.name=(required)" in output
    assert "dataset.n_videos" not in output  # of the default, the scenes
    wrong = semrsm("retrieve", "dataset=folders", "--help")
    assert (wrong.exit_code, "no config 'dataset/folders', choose from" in wrong.output) == (2, True)


def test_help_lists_presets_of_ones_own(semrsm: Command) -> None:
    Path("own/model").mkdir(parents=True)
    Path("own/model/mine.yaml").write_text("defaults: [timm]\nname: resnet10t\n")
    output = succeed(semrsm("retrieve", "--config-dir", "own", "model=mine", "--help")).output
    assert "vit_l32, mine" in " ".join(output.split())
    assert "model.name=resnet10t" in output


def test_cfg_prints_the_composed_config(semrsm: Command) -> None:
    config = yaml.safe_load(succeed(semrsm("translate", "kernel=linear", "--cfg", "job", "seed=3")).stdout)
    assert (config["kernel"]["name"], config["seed"]) == ("linear", 3)
    assert not Path("outputs").exists()


# Runs and sweeps


@pytest.mark.slow
def test_a_run_lies_in_the_folder_of_its_task(semrsm: Command, pretend: Calls) -> None:
    for task in TASKS:
        for mode in ((), ("--multirun",)):
            pretend.clear()
            succeed(semrsm(task, *mode))
            ((settings, folder),) = pretend
            assert type(settings) is SCHEMAS[task], task
            assert folder.parent == Path.cwd() / "outputs" / task, (task, mode)


@pytest.mark.slow
def test_runs_in_the_same_second_have_folders_of_their_own(
    semrsm: Command, pretend: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls(2026, 1, 1)

    monkeypatch.setattr("hydra.core.utils.datetime", Clock)
    now = "2026-01-01_00-00-00"
    for task, arguments, folders in (
        ("rsm", (), [now, f"{now}_2", f"{now}_3"]),
        ("cka", ("--multirun", "seed=0,1"), [f"{place}/seed={i}" for place in (now, f"{now}_2") for i in (0, 1)]),
        ("extract", ("hydra.run.dir=outputs/extract/mine",), ["mine", "mine"]),
        ("bench", ("--multirun", "seed=0", "hydra.sweep.dir=outputs/bench/mine"), ["mine/seed=0", "mine/seed=0"]),
    ):
        pretend.clear()
        while len(pretend) < len(folders):
            succeed(semrsm(task, *arguments))
        assert [folder.relative_to(Path.cwd() / "outputs" / task).as_posix() for _, folder in pretend] == folders
        assert all((folder / "run.json").is_file() for _, folder in pretend), task


@pytest.mark.slow
def test_jobs_of_a_sweep_stay_in_its_folder_and_apart(semrsm: Command, pretend: Calls) -> None:
    for task, arguments, begins in (
        ("rsm", ("seed=0,1", "kernel=rbf"), ["kernel=rbf,seed=0", "kernel=rbf,seed=1"]),
        (
            "rsm",
            ("x=../../feat/a.npy", "kernel=linear,cosine"),
            ["kernel=linear,x=.._.._feat_a.npy_", "kernel=cosine,x=.._.._feat_a.npy_"],
        ),
        ("rsm", ("x=/a/b.npy,/a_b.npy,../a/b.npy",), ["x=_a_b.npy_", "x=_a_b.npy_", "x=.._a_b.npy_"]),
        ("cka", ("x=a/b.npz,a_b.npz",), ["x=[a_b.npz]_", "x=[a_b.npz]"]),
        ("rsm", (f"x={'y' * 300}.npy",), ["x=yyyyy"]),
    ):
        pretend.clear()
        succeed(semrsm(task, "--multirun", "hydra.sweep.dir=deep/er/sweep", *arguments))
        assert {folder.parent for _, folder in pretend} == {Path.cwd() / "deep/er/sweep"}, arguments
        names = [folder.name for _, folder in pretend]
        assert len(set(names)) == len(begins), arguments
        assert all(name.startswith(begin) for name, begin in zip(names, begins, strict=True)), names
    pretend.clear()
    succeed(semrsm("translate", "--multirun", "experiment=translate_fig2,translate_fig7", "hydra.sweep.dir=both"))
    assert [folder.relative_to(Path.cwd()).as_posix() for _, folder in pretend] == ["both", "both/job_2"]


def test_a_sweep_that_wrote_nothing_leaves_nothing(semrsm: Command) -> None:
    for arguments in (("seed=1,x",), ("seed=-2,-1",), ("seed=0", "dataset=folder", "dataset.root=nowhere")):
        assert semrsm("rsm", "--multirun", *arguments).exit_code in (1, 2), arguments
        assert not Path("outputs").exists(), arguments


@pytest.mark.slow
def test_all_networks_are_trained_or_some_of_them(semrsm: Command, pretend: Calls) -> None:
    succeed(semrsm("train", "experiment=train_networks"))
    assert [str(folder.relative_to(Path.cwd())) for _, folder in pretend] == [
        f"outputs/train/{label}_cifar100/seed_{seed}"
        for label in ("ResNet18", "ResNet34", "ResNet101")
        for seed in range(3)
    ]
    for config, folder in pretend:
        assert config.recipe.architecture == config.label.lower()
        assert f"{config.label}_{config.dataset.name}/seed_{config.seed}" in str(folder)
    pretend.clear()
    chosen = ("dataset=tiny_imagenet", "recipe=tiny_imagenet", "label=ResNet34", "seed=0")
    succeed(semrsm("train", "experiment=train_networks", *chosen))
    ((config, folder),) = pretend
    assert folder == Path.cwd() / "outputs" / "train" / "ResNet34_tiny_imagenet" / "seed_0"
    assert (config.recipe.architecture, config.recipe.image_size) == ("resnet34", 64)


@pytest.mark.slow
def test_figures_of_trained_networks_are_swept_over_labels(semrsm: Command, pretend: Calls) -> None:
    for experiment, labels in (
        ("cka_fig15", ["ResNet18", "ResNet34"]),
        ("cka_fig16", ["ResNet18", "ResNet34", "ResNet101"]),
        ("cka_fig17", ["ResNet18", "ResNet101"]),
    ):
        pretend.clear()
        succeed(semrsm("cka", f"experiment={experiment}"))
        assert [config.model.label for config, _ in pretend] == labels, experiment
        for config, folder in pretend:
            name = f"{config.model.label}_{config.dataset.name}"
            assert folder.name == name, experiment
            assert config.model.name == f"outputs/train/{name}/seed_*", experiment
    pretend.clear()
    succeed(semrsm("cka", "experiment=cka_trained"))
    assert len(pretend) == 1, "one network, no sweep"


def test_one_value_for_a_list(semrsm: Command, pretend: Calls) -> None:
    for task, arguments, expected in (
        ("cka", ("x=a.npy", "y=[b.npy,c.npy]"), {"x": ["a.npy"], "y": ["b.npy", "c.npy"]}),
        ("cka", ("model_names=outputs/*", "kernels=rbf"), {"model_names": ["outputs/*"], "kernels": ["rbf"]}),
        ("cka", ("x='a, b.npy'",), {"x": ["a, b.npy"]}),
        ("report", ("runs=outputs/retrieve",), {"runs": ["outputs/retrieve"]}),
        ("bench", ("positions=64", "methods=optimal"), {"positions": [64], "methods": ["optimal"]}),
        ("bench", ("n_exact=128",), {"n_exact": [128]}),
        ("retrieve", ("invariances=none",), {"invariances": ["none"]}),
        ("rsm", ("x=a.npy", "grid=null"), {"x": "a.npy", "grid": None}),
    ):
        pretend.clear()
        succeed(semrsm(task, *arguments))
        ((config, _),) = pretend
        assert {name: getattr(config, name) for name in expected} == expected, arguments
    pretend.clear()
    succeed(semrsm("extract", "model.layers=all"))
    succeed(semrsm("cka", "model.layers=layer4.*", "model@model_b=resnet18", "model_b.layers=all"))
    (extract, _), (cka, _) = pretend
    assert (extract.model.layers, cka.model.layers, cka.model_b.layers) == (["all"], ["layer4.*"], ["all"])


def test_one_value_for_a_list_in_a_sweep(semrsm: Command, pretend: Calls) -> None:
    for values, expected in (
        ("a.npy,[b.npy,c.npy]", [["a.npy"], ["b.npy", "c.npy"]]),
        ("choice(a.npy)", [["a.npy"]]),
        ("a.npy", [["a.npy"]]),
    ):
        pretend.clear()
        succeed(semrsm("cka", f"x={values}", "--multirun"))
        assert [config.x for config, _ in pretend] == expected, values
    pretend.clear()
    succeed(semrsm("extract", "model.layers=all,last", "seed=1", "--multirun"))
    assert [(config.model.layers, config.seed) for config, _ in pretend] == [(["all"], 1), (["last"], 1)]


def test_what_is_no_single_value_of_a_list_stays_as_it_was_typed() -> None:
    register_schemas()
    for argument in ("seed=1", "x=", "x=null", "x=[a]", "x=${y}", "x", "x=a=b", "--multirun", "model=x", "+foo=1"):
        assert as_override("cka", argument) == argument
    for argument in ("x=[a,b],[c]", "x=[[a]]"):
        assert as_override("cka", argument) == argument
    for argument in ("x=a,b", "x=choice(a,b)", "x=[a],b"):
        assert as_override("cka", argument) == "x=[a],[b]", argument
    assert as_override("cka", "+model_b.layers=all") == "+model_b.layers=[all]"
    assert not _is_list(SCHEMAS["cka"], "model.layers.more")


# Settings that are wrong


@pytest.mark.slow
def test_an_old_name_is_answered_with_the_new_one(semrsm: Command) -> None:
    asked = {
        "runtime.loaders": ("extract", "runtime.num_workers"),
        "runtime.workers": ("extract", "runtime.threads"),
        "matching.k": ("rsm", "matching.n_exact"),
        "dataset.draw": ("retrieve", "dataset.split_file"),
        "k": ("retrieve", "n_neighbours"),
        "a": ("cka", "x"),
        "b": ("cka", "y"),
        "names": ("cka", "model_names"),
        "across": ("cka", "between_networks"),
        "hold_out": ("train", "val_fraction"),
    }
    assert asked.keys() == RENAMED.keys()
    for old, (task, new) in (*asked.items(), ("k", ("bench", "n_exact"))):
        refuse(semrsm, task, f"{old}=1", complaint=f"; do you mean {new}?", exit_code=2)
    every = {name for names in RENAMED.values() for name in names}
    assert every == {new for _, new in asked.values()} | {"n_exact"}


def test_a_misspelt_name_within_a_group_is_answered_with_the_whole_one(semrsm: Command) -> None:
    refuse(semrsm, "retrieve", "n_querys=1", complaint="; do you mean dataset.n_queries?", exit_code=2)


def test_a_value_that_cannot_be_read_is_answered_with_one_that_can(semrsm: Command, pretend: Calls) -> None:
    for task, typed, advised, value in (
        ("rsm", ["x=two.npz#u"], """'x="two.npz#u"'""", "two.npz#u"),
        ("rsm", ["x=ä.npy"], """'x="ä.npy"'""", "ä.npy"),
        ("rsm", ["x=a=b"], """'x="a=b"'""", "a=b"),
        ("rsm", ["x=a(1)"], """'x="a(1)"'""", "a(1)"),
        ("rsm", ["x=a'b"], None, "a'b"),
        ("rsm", ['x=a"b'], None, 'a"b'),
        ("rsm", ["x=a{b"], None, "a{b"),
        ("rsm", ["+x=a#b"], """'+x="a#b"'""", "a#b"),
        ("cka", ["x=two.npz#u"], """'x="two.npz#u"'""", ["two.npz#u"]),
        ("cka", ["x=[a.npy, b#c.npy]"], """'x=[a.npy,"b#c.npy"]'""", ["a.npy", "b#c.npy"]),
        ("rsm", ["--multirun", "x=a.npy,b#c.npy"], """'x=a.npy,"b#c.npy"'""", "b#c.npy"),
    ):
        complaint = f"cannot read {typed[-1]}; quote it: {advised or ''}"
        said = refuse(semrsm, task, *typed, complaint=complaint, exit_code=2)
        pretend.clear()
        succeed(semrsm(task, *typed[:-1], *shlex.split(said.partition("quote it: ")[2])))
        assert pretend[-1][0].x == value, typed
        shutil.rmtree("outputs")
    for typed in ("nokey", "ä=1", "x#y=1"):
        assert "quote it" not in refuse(semrsm, "rsm", typed, complaint="", exit_code=2), typed


def test_flags_that_exclude_each_other(semrsm: Command) -> None:
    result = semrsm("translate", "--cfg", "job", "--multirun")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


# Errors


def test_folder_that_cannot_be_made_is_one_line(semrsm: Command) -> None:
    Path("file").touch()
    remedy = "choose others by hydra.run.dir=DIR and SEMRSM_CACHE=DIR"
    for folder in ("file", "file/below"):
        assert "cannot write file" in refuse(
            semrsm, "translate", f"hydra.run.dir={folder}", complaint=remedy, exit_code=1
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEMRSM_CACHE", folder)
            assert "cannot write file" in refuse(semrsm, "translate", complaint=remedy, exit_code=1)


def fail_with(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    def refuse_to_open(*_: object) -> None:
        raise error

    patch.setattr("semrsm_cli.tasks.translate.open_images", refuse_to_open)


def test_full_or_forbidden_disk_is_one_line(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    numpys = "Not enough free space to write 80 bytes after offset 8"
    half = "160000 requested and 131056 written"
    for error, complaint in (
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write: No space left on device; "),
        (OSError(numpys), f"cannot write: {numpys}; "),
        (OSError(half), f"cannot write: {half}; "),
        (PermissionError(errno.EACCES, "Permission denied", "val"), "cannot read or write val: Permission denied; "),
    ):
        fail_with(monkeypatch, error)
        refuse(semrsm, "translate", complaint=f"semrsm translate: {complaint}", exit_code=1)


def test_an_array_that_the_disk_has_no_room_for_is_one_line(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = RunFolder(tmp_path / "run", command=[])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, hard))
    try:
        with pytest.raises(SemrsmError, match=r"cannot write.*: .*hydra\.run\.dir=DIR"), _explain_disk_errors():
            folder.array("rsm", np.zeros(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_bug_keeps_its_traceback(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ZeroDivisionError("a bug"), ChildProcessError(errno.ECHILD, "another of the system's errors")):
        fail_with(monkeypatch, error)
        assert semrsm("translate").exception is error


def test_interrupt_ends_with_130(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    refuse(semrsm, "translate", complaint="run it again", exit_code=130)


INTERRUPTED = {
    "a library is loaded": """
class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
""",
    "many times": """
def launch(*_):
    atexit.register(press)
    try:
        press()
    finally:
        press(), press()
""",
    "as it ends": """
def launch(*_):
    atexit.register(press)
""",
}
PRESSED = """
import atexit, os, signal, sys, types
def press():
    os.kill(os.getpid(), signal.SIGINT)
launch = None
{moment}
if launch:
    sys.modules["semrsm_cli.launch"] = types.SimpleNamespace(launch=launch)
from semrsm_cli.cli import main
sys.argv = ["semrsm", "rsm"]
main()
"""


def test_ctrl_c_at_any_moment_ends_with_130_and_no_traceback() -> None:
    for name, moment in INTERRUPTED.items():
        code = PRESSED.format(moment=moment)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 130, (name, done.stderr)
        assert "Traceback" not in done.stderr, (name, done.stderr)
        assert "Exception ignored" not in done.stderr, (name, done.stderr)


def test_ctrl_c_while_tidying_up_counts_once_and_ends_the_run_when_that_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    press = _Interrupt()
    with pytest.raises(KeyboardInterrupt):
        press()
    press()
    assert not ended
    monkeypatch.setattr("semrsm_cli.cli._TIDYING_UP", -1.0)
    press()
    assert ended == [130]
