"""Every setting is stated once, is explained and checked; every option and every experiment composes."""

import dataclasses
import importlib
import itertools
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

import semrsm_cli
from semrsm_cli import config
from semrsm_cli.cli import TASKS
from semrsm_cli.cluster import ClusterConfig
from semrsm_cli.config.schemas import register_schemas
from semrsm_cli.config_help import field_docstrings
from semrsm_cli.data import DATASETS
from semrsm_cli.launch import _HYDRA_VERSION_BASE, _conf_folder
from semrsm_cli.models.recipe import Architecture, Recipe
from semrsm_cli.rsm import Matcher

GROUPS = {"model": "rsm", "dataset": "rsm", "kernel": "rsm", "matching": "rsm", "recipe": "train", "cluster": "rsm"}
SCHEMAS = [getattr(config, name) for name in config.__all__] + [Matcher, Recipe, ClusterConfig, *DATASETS.values()]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (Path(_conf_folder()) / group).glob("*.yaml"))


@pytest.fixture(autouse=True, scope="module")
def schemas() -> None:
    register_schemas()


def compose(task: str, *overrides: str) -> Any:
    with hydra.initialize_config_dir(_conf_folder(), version_base=_HYDRA_VERSION_BASE):
        return OmegaConf.to_object(hydra.compose(task, overrides=list(overrides)))


# Presets


def test_defaults_compose() -> None:
    for task in TASKS:
        assert type(compose(task)).__name__.lower() == f"{task}config"


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_composes(group: str) -> None:
    extra = ["model.name=anything"] if group == "model" else []
    for option in options(group):
        settings = getattr(compose(GROUPS[group], f"{group}={option}", *extra), group)
        assert dataclasses.is_dataclass(settings), option
        if group == "dataset":
            assert type(settings) is DATASETS[settings.name], option
    if group == "dataset":
        assert {option.removesuffix("_204") for option in options(group)} == set(DATASETS)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_says_how_it_is_run(experiment: str) -> None:
    task = experiment.split("_")[0]
    compose(task, f"experiment={experiment}")
    text = (Path(_conf_folder()) / "experiment" / f"{experiment}.yaml").read_text()
    assert f"semrsm {task} experiment={experiment}" in text


def test_an_experiment_wins_over_its_base_and_the_base_over_the_presets() -> None:
    trained = compose("cka", "experiment=cka_trained")
    assert (trained.model.name, trained.n_images) == ("outputs/train/small/*seed_*", 60)  # its own
    assert (trained.model.label, trained.size) == ("ResNet18", None)  # the base's, not the preset's nor the task's
    assert trained.model.layers == ["stem.norm", "layer*.*.sum"]
    assert (trained.dataset.name, trained.dataset.objects, trained.matching.method) == ("scenes", True, "optimal")
    for experiment, dataset, method, kernels, between in (
        ("cka_fig15", "tiny_imagenet", "batch_optimal", ["linear", "rbf"], False),
        ("cka_fig16", "tiny_imagenet", "batch_optimal", ["linear"], False),
        ("cka_fig17", "cifar100", "optimal", ["linear"], True),
    ):
        found = compose("cka", f"experiment={experiment}", "model.label=ResNet34")
        assert found.model.name == f"outputs/train/ResNet34_{dataset}/seed_*", experiment
        assert (found.n_images, found.size, found.model.source) == (500, None, "trained"), experiment
        assert (found.matching.method, found.kernels, found.between_networks) == (method, kernels, between), experiment
        assert found.model.layers == trained.model.layers, experiment
        given = compose("cka", f"experiment={experiment}", "n_images=7", "matching=scipy", "model.layers=[last]")
        assert (given.n_images, given.matching.method, given.model.layers) == (7, "scipy", ["last"]), experiment


def test_the_label_of_a_network_to_train_names_its_architecture() -> None:
    for label, dataset in (
        ("ResNet18", "cifar100"),
        ("ResNet34", "tiny_imagenet"),
        ("ResNet101", "imagenet"),
        ("ResNet101", "cifar100"),
    ):
        settings = ("experiment=train_networks", f"label={label}", f"dataset={dataset}", f"recipe={dataset}")
        found, preset = compose("train", *settings), compose("train", f"recipe={dataset}").recipe
        assert (found.label, found.dataset.name) == (label, dataset)
        assert found.recipe == dataclasses.replace(preset, architecture=Architecture(label.lower())), (label, dataset)
    own = compose("train", "experiment=train_networks", "recipe.architecture=resnet10", "recipe.epochs=1")
    assert (own.recipe.architecture, own.recipe.epochs, own.recipe.width) == ("resnet10", 1, 64)


# Schemas


def test_every_setting_says_what_it_means() -> None:
    for schema in SCHEMAS:
        texts = field_docstrings(schema)
        assert {field.name for field in dataclasses.fields(schema)} == set(texts), schema
        for name, text in texts.items():
            assert text.endswith(".") or ": +" in text, (schema, name, text)


CHECKED_AGAINST_THE_SET = ("n_queries", "n_database")  # by what it holds, see tests/tasks/test_retrieve.py


def numbers(schema: type) -> Iterator[tuple[str, float]]:
    """Names of a schema's numbers, each with what it must not be."""
    for field in dataclasses.fields(schema):
        if field.name in CHECKED_AGAINST_THE_SET:
            continue
        if field.type in (int, int | None, float, float | None):
            yield field.name, -1
        if field.type in (float, float | None):  # Hydra takes nan for no other
            yield field.name, math.nan


def test_no_number_may_be_negative_or_nan() -> None:
    for schema in SCHEMAS:
        for name, number in numbers(schema):
            with pytest.raises(ValueError, match=rf"{name}.*got.*{number}"):
                pytest.fail(f"{schema.__name__} takes {name}={number}: {schema(**{name: number})}")


def dataclasses_of_the_package() -> set[type]:
    modules = [
        importlib.import_module(module.name) for module in pkgutil.walk_packages(semrsm_cli.__path__, "semrsm_cli.")
    ]
    named = (value for module in modules for value in vars(module).values() if isinstance(value, type))
    return {kind for kind in named if "__dataclass_fields__" in vars(kind) and kind.__module__.startswith("semrsm_cli")}


def test_no_two_classes_state_the_same_three_fields() -> None:
    own = {kind: set(vars(kind).get("__annotations__", ())) for kind in dataclasses_of_the_package()}
    assert {*SCHEMAS} - own.keys() == set()
    for first, second in itertools.combinations(own, 2):
        assert len(own[first] & own[second]) < 3, (first, second, own[first] & own[second])
