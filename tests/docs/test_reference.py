"""The reference leaves nothing out: settings, presets, columns of tables, public functions, subcommands and flags."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import typer

import semrsm_cli
from semrsm_cli import measures
from semrsm_cli.cli import TASKS, app
from semrsm_cli.config_help import field_docstrings
from tests.command import command_in, succeed
from tests.docs.pages import DOCS
from tests.test_config import SCHEMAS

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation lies in a checkout only")
REFERENCE = DOCS / "reference"
MEASURES = ("agreement", "cka", "resampling", "retrieval", "separation")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """What makes the settings' entries."""
    spec = importlib.util.spec_from_file_location("settings_reference", DOCS / "_ext" / "settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown_settings() -> list[str]:
    """What the page asks the directive for."""
    return re.findall(r"```\{settings\} (\S+)", (REFERENCE / "settings.md").read_text())


def test_every_setting_stands_with_its_meaning(generator: ModuleType) -> None:
    shown = {what: generator.reference_of(what) for what in shown_settings()}
    schemas = {**generator.TASKS, **generator.GROUPS}
    assert set(schemas) <= set(shown)
    for what, schema in schemas.items():
        for name, meaning in field_docstrings(schema).items():
            prefix = "" if what in TASKS else f"{what.split('/')[0]}."
            if what.startswith("dataset/") and name == "name":
                continue
            assert f"`{prefix}{name}`\n: {meaning}" in shown[what], (what, name)


def test_every_schema_of_settings_is_among_them(generator: ModuleType) -> None:
    reached = {
        ancestor for schema in (*generator.TASKS.values(), *generator.GROUPS.values()) for ancestor in schema.__mro__
    }
    assert {schema for schema in SCHEMAS if schema not in reached} == set()


def test_every_preset_stands(generator: ModuleType) -> None:
    conf = DOCS.parent / "conf"
    groups = {path.parent.name for path in conf.glob("*/*.yaml")}
    for group in groups:
        assert group in shown_settings(), group
        for preset in (conf / group).glob("*.yaml"):
            assert f"`{group}={preset.stem}`" in generator.reference_of(group)


def test_every_experiment_stands_with_its_command() -> None:
    text = (REFERENCE / "experiments.md").read_text()
    missing = [path.stem for path in (DOCS.parent / "conf" / "experiment").glob("*.yaml") if path.stem not in text]
    assert missing == []


def test_every_public_function_stands() -> None:
    text = (REFERENCE / "library.md").read_text()
    entries = set(re.findall(r"^\.\. auto\w+:: (\S+)$", text, re.MULTILINE))
    assert {f"semrsm_cli.{name}" for name in semrsm_cli.__all__} <= entries
    public = {name for module in MEASURES for name in importlib.import_module(f"{measures.__name__}.{module}").__all__}
    assert public <= {entry.rpartition(".")[2] for entry in entries}


def test_every_subcommand_and_every_flag_stands() -> None:
    text = (REFERENCE / "commands.md").read_text()
    command = typer.main.get_command(app)
    for task in TASKS:
        assert f"\n| `{task}` |" in text, task
        for parameter in command.commands[task].params:
            for flag in parameter.opts if parameter.param_type_name == "option" else ():
                assert f"`{flag}" in text, (task, flag)


# Tables


def documented_columns(task: str) -> dict[str, list[str]]:
    """The columns of each table of a task, as the page has them."""
    text = (REFERENCE / "tables.md").read_text()
    sections = re.findall(rf"^### {task}: (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    rows = {name: re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name, section in sections}
    return {name: re.findall(r"`(\w+)`", " ".join(cells)) for name, cells in rows.items()}


SMALL = "dataset.n_scenes=4 recipe.width=4 recipe.architecture=resnet10 recipe.epochs=1"
RUNS = {
    "train_0": f"train seed=0 {SMALL}",
    "train_1": f"train seed=1 {SMALL}",
    "translate": "translate n_pairs=2 n_batches=1 model.layers=[blocks.6]",
    "retrieve": "retrieve dataset.n_scenes=8 dataset.n_queries=4 dataset.n_database=12 n_resamples=20 n_pictures=1 "
    "n_thumbnails=2 locality=2",
    "correlate": "correlate n_images=12 n_resamples=20 n_permutations=20 model.layers=[blocks.5,blocks.6]",
    "cka_within": "cka n_images=8 n_draws=1 model.layers=[blocks.6]",
    "cka_between": "cka n_images=8 n_draws=1 model.layers=[blocks.6] model@model_b=efficientnet_lite0",
    "cka_seeds": "cka model=trained model.name=train_0 model_names=[train_1] dataset=scenes dataset.objects=true "
    "dataset.n_scenes=4 n_images=8 n_draws=1 model.layers=[layer4]",
    "rsm": "rsm n_images=4 locality=2",
    "bench": "bench n_images=2 n_pairs=1 positions=[256] seconds_per_cell=0.01 size=256",
    "extract": "extract n_images=4",
}


@pytest.fixture(scope="module")
def columns_of_runs(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> dict[str, dict[str, list[str]]]:
    """The columns of every table that each task leaves, by task and table."""
    folder = tmp_path_factory.mktemp("reference")
    columns: dict[str, dict[str, list[str]]] = {}
    with command_in(folder, shared_cache) as command:
        for name, words in RUNS.items():
            task, *settings = words.split()
            succeed(command(task, *settings, f"hydra.run.dir={name}"))
            columns.setdefault(task, {}).update(columns_in(folder / name))
        succeed(command("report", "runs=.", "hydra.run.dir=report"))
        columns["report"] = columns_in(folder / "report")
    return columns


def columns_in(folder: Path) -> dict[str, list[str]]:
    """The columns of every table of a run."""
    return {path.stem: [*pd.read_csv(path)] for path in sorted((folder / "tables").glob("*.csv"))}


@pytest.mark.slow
def test_every_column_of_every_table_stands(columns_of_runs: dict[str, dict[str, list[str]]]) -> None:
    assert {*columns_of_runs} == set(TASKS) - {"data", "store"}
    for task, tables in columns_of_runs.items():
        if task == "report":
            continue
        documented = documented_columns(task)
        assert {*tables} == {*documented}, task
        for name, columns in tables.items():
            assert sorted(columns) == sorted(documented[name]), (task, name)


@pytest.mark.slow
def test_every_column_of_a_report_stands(columns_of_runs: dict[str, dict[str, list[str]]]) -> None:
    documented = documented_columns("report")
    tables = columns_of_runs["report"]
    first = documented["runs"]
    assert tables["runs"][: len(first)] == first
    joined = {name: columns for name, columns in tables.items() if name.startswith("joined_")}
    assert joined
    known = {name: columns for task in TASKS for name, columns in documented_columns(task).items()}
    for name, columns in joined.items():
        of_join = [*first, *documented["joined"][len(first) :]]
        assert sorted(columns) == sorted({*of_join, *known[name.removeprefix("joined_")]}), name
    assert sorted(tables["verdicts"]) == sorted(documented["verdicts"])
