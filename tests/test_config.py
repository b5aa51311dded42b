"""Every option of every group and every experiment composes, and what it says is checked."""

import dataclasses
import math
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf
from semrsm_cli.manual import field_docstrings

from semrsm_cli import config
from semrsm_cli.cli import TASKS
from semrsm_cli.config import register_configs
from semrsm_cli.launch import HYDRA_VERSION_BASE, conf_folder

GROUPS = ("model", "dataset", "kernel", "matching")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (Path(conf_folder()) / group).glob("*.yaml"))


def compose(task: str, *overrides: str) -> object:
    register_configs()
    with hydra.initialize_config_dir(conf_folder(), version_base=HYDRA_VERSION_BASE):
        return OmegaConf.to_object(hydra.compose(task, overrides=list(overrides)))


@pytest.mark.parametrize("task", TASKS)
def test_defaults_compose(task: str) -> None:
    assert type(compose(task)).__name__.lower().startswith(task)


@pytest.mark.parametrize(("group", "option"), [(group, option) for group in GROUPS for option in options(group)])
def test_every_option_composes(group: str, option: str) -> None:
    extra = ["model.name=anything"] if group == "model" else []
    config = compose("rsm", f"{group}={option}", *extra)
    assert getattr(config, group) is not None


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_says_how_it_is_run(experiment: str) -> None:
    task = experiment.split("_")[0]
    compose(task, f"experiment={experiment}")
    text = (Path(conf_folder()) / "experiment" / f"{experiment}.yaml").read_text()
    assert f"semrsm {task} experiment={experiment}" in text


def test_layers_may_be_one_name() -> None:
    assert compose("rsm", "model.layers=all").model.layers == ["all"]  # type: ignore[attr-defined]


DRAWN = ("n_queries", "n_database")  # checked against what a set holds, see tests/tasks/test_retrieve.py
SCHEMAS = [value for name, value in vars(config).items() if name.endswith("Config")]


@pytest.mark.parametrize(
    ("schema", "name", "number"),
    [
        (schema, field.name, wrong)
        for schema in SCHEMAS
        for field in dataclasses.fields(schema)
        for wrong in (-1, math.nan)
        if field.type in (int, float, int | None, float | None) and field.name not in DRAWN
    ],
)
def test_no_number_may_be_negative_or_nan(schema: type, name: str, number: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*got.*{number}"):
        schema(**{name: number})


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_setting_says_what_it_means(schema: type) -> None:
    assert {field.name for field in dataclasses.fields(schema)} == set(field_docstrings(schema))
