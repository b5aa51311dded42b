"""Every setting is stated once, is explained and checked; every option and every experiment composes."""

import dataclasses
import importlib
import itertools
import math
import pkgutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf

import semrsm_cli
from semrsm_cli import config
from semrsm_cli.cli import TASKS
from semrsm_cli.cluster import ClusterConfig
from semrsm_cli.composition import HYDRA_VERSION_BASE
from semrsm_cli.config.presets import conf_folder
from semrsm_cli.config.schemas import register_schemas
from semrsm_cli.config_help import field_docstrings
from semrsm_cli.data import DATASETS
from semrsm_cli.models.recipe import Architecture, Recipe
from semrsm_cli.models.resnet import build_network
from semrsm_cli.rsm import Matcher
from tests.command import Command, refuse

GROUPS = {"model": "rsm", "dataset": "rsm", "kernel": "rsm", "matching": "rsm", "recipe": "train", "cluster": "rsm"}
SCHEMAS = [getattr(config, name) for name in config.__all__] + [Matcher, Recipe, ClusterConfig, *DATASETS.values()]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


@pytest.fixture(autouse=True, scope="module")
def schemas() -> None:
    register_schemas()


def compose(task: str, *overrides: str) -> Any:
    with hydra.initialize_config_dir(str(conf_folder()), version_base=HYDRA_VERSION_BASE):
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
        assert {option.removesuffix("_204").removesuffix("_test") for option in options(group)} == set(DATASETS)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_says_how_it_is_run(experiment: str) -> None:
    task = experiment.split("_")[0]
    compose(task, f"experiment={experiment}")
    text = (conf_folder() / "experiment" / f"{experiment}.yaml").read_text()
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


def test_figure_2_reads_nine_layers_of_a_network_trained_on_tiny_imagenet_before_their_last_relu() -> None:
    settings = compose("translate", "experiment=translate_fig2")
    assert (settings.model.source, settings.model.name) == ("trained", "outputs/train/ResNet18_tiny_imagenet/seed_0")
    assert (settings.size, settings.crop, settings.model.label) == (84, 64, "ResNet18")
    recipe = dataclasses.replace(compose("train", "recipe=tiny_imagenet").recipe, width=4)
    assert (recipe.architecture, recipe.image_size) == ("resnet18", settings.crop)
    network = build_network(recipe, n_classes=2, seed=0).eval()
    names = [name for name, _ in network.named_modules()]
    layers = [name for pattern in settings.model.layers for name in names if fnmatchcase(name, pattern)]
    shapes = {}
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: shapes.update({name: output.shape[2:].numel()})
        )
    network(torch.zeros(1, 3, settings.crop, settings.crop))
    assert list(shapes.values()) == [4096] * 3 + [1024] * 2 + [256] * 2 + [64] * 2
    assert all(name == "stem.norm" or name.endswith(".sum") for name in shapes)


# Open choices

ONE_CHOICE = {
    "class_set_all34": ("retrieve", "dataset=cityscapes", {"dataset.class_set": "all34"}),
    "class_set_official30": ("retrieve", "dataset=cityscapes", {"dataset.class_set": "official30"}),
    "class_token_drop": ("correlate", "", {"model.cls_token": "drop"}),
    "class_token_keep": ("correlate", "model.cls_token=drop", {}),  # the command line has the last word
    "clipseg_decoder": ("retrieve", "model=clipseg", {"model.readout": "decoder"}),
    "clipseg_rd64": ("retrieve", "model=clipseg", {"model.name": "CIDAS/clipseg-rd64"}),
    "clipseg_rd64_decoder": ("retrieve", "model=clipseg_rd64", {"model.readout": "decoder"}),
    "convnextv2_1k": ("correlate", "model=convnextv2_base", {"model.name": "facebook/convnextv2-base-1k-224"}),
    "framing_pad": ("retrieve", "", {"model.framing": "pad"}),
    "framing_squash": ("retrieve", "", {"model.framing": "squash"}),
    "image_order_files": ("retrieve", "", {"image_order": "files"}),
    "readout_after_norm": ("correlate", "", {"model.readout": "after_norm"}),
    "readout_before_norm": ("retrieve", "", {"model.readout": "before_norm"}),
    "sigma_global": ("correlate", "", {"sigma_tile": None}),
    "unchanged": ("retrieve", "", {}),
}


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting by its whole name."""
    if not dataclasses.is_dataclass(settings):
        return {prefix.removesuffix("."): settings}
    parts = (flat(getattr(settings, field.name), f"{prefix}{field.name}.") for field in dataclasses.fields(settings))
    return {name: value for part in parts for name, value in part.items()}


def test_every_choice_changes_one_setting_of_its_experiment() -> None:
    assert options("choice") == sorted(ONE_CHOICE)
    for choice, (task, given, expected) in ONE_CHOICE.items():
        arguments = [f"experiment={task}_sensitivity", *given.split()]
        before, after = flat(compose(task, *arguments)), flat(compose(task, *arguments, f"choice={choice}"))
        assert {name: after[name] for name in after if after[name] != before[name]} == expected, choice


def test_the_page_on_open_choices_lists_what_every_choice_changes() -> None:
    section = (Path(__file__).parents[1] / "docs" / "explanation" / "open_choices.md").read_text()
    for choice, (_, _, changed) in ONE_CHOICE.items():
        for name in changed:
            word = {"model.name": f"`{choice.replace('_1k', '_base_1k')}`"}.get(name, f"`{name}=")
            assert word in section, choice


def test_table_2_is_drawn_three_times_and_seed_0_is_one_of_them() -> None:
    with hydra.initialize_config_dir(str(conf_folder()), version_base=HYDRA_VERSION_BASE):
        composed = hydra.compose("retrieve", ["experiment=retrieve_table2"], return_hydra_config=True)
    assert composed.hydra.sweeper.params.seed.split(",") == ["0", "1", "2"]
    assert composed.seed == 0


def test_a_choice_of_a_network_names_it_whatever_network_was_given() -> None:
    model = compose("retrieve", "experiment=retrieve_sensitivity", "model=sam", "choice=clipseg_rd64").model
    assert (model.label, model.name) == ("CLIPSeg", "CIDAS/clipseg-rd64")


@pytest.mark.parametrize("task", ["retrieve", "correlate"])
def test_sensitivity_starts_from_the_settings_of_the_paper(task: str) -> None:
    table, model = {"retrieve": ("retrieve_table2", "clip"), "correlate": ("correlate_table1", "vit_b16")}[task]
    paper = compose(task, f"experiment={table}", f"model={model}")
    assert compose(task, f"experiment={task}_sensitivity") == paper
    with hydra.initialize_config_dir(str(conf_folder()), version_base=HYDRA_VERSION_BASE):
        composed = hydra.compose(task, [f"experiment={task}_sensitivity"], return_hydra_config=True)
    choices = composed.hydra.sweeper.params.choice.split(",")
    assert choices[0] == "unchanged"
    for choice in choices:
        compose(task, f"experiment={task}_sensitivity", f"choice={choice}")


@pytest.mark.parametrize(
    ("experiment", "complaint"),
    [
        ("correlate_table1", "a sweep over 8 models; add --multirun, or choose one with model=resnet18"),
        ("correlate_table4", "a sweep over 8 models; add --multirun, or choose one with model=resnet18"),
        ("retrieve_table2", "a sweep over 8 models; add --multirun, or choose one with model=clipseg"),
        ("retrieve_table3", "a sweep over 8 models; add --multirun, or choose one with model=clipseg"),
        ("retrieve_sensitivity", "a sweep over 7 choices; add --multirun, or choose one with choice=unchanged"),
        ("correlate_sensitivity", "a sweep over 7 choices; add --multirun, or choose one with choice=unchanged"),
    ],
)
def test_a_sweep_without_multirun_says_what_to_add(semrsm: Command, experiment: str, complaint: str) -> None:
    task, group = experiment.split("_")[0], complaint.rsplit("=")[0].split()[-1]
    whole = f"experiment={experiment} is {complaint}"
    refuse(semrsm, task, f"experiment={experiment}", "runtime.threads=1", complaint=whole, exit_code=2)
    named = f"{group}={complaint.rsplit('=')[1]}"
    refuse(
        semrsm, task, f"experiment={experiment}", named, complaint="where ", exit_code=1
    )  # the images lie is not known


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
            if (name, number) == ("floor", -1):  # affinities may be negative, and so may what they must exceed
                continue
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
