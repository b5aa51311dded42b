"""Which settings tell a run's numbers from those of another."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from semrsm_cli.cli import TASKS
from semrsm_cli.config.identity import WITHOUT_EFFECT, identifying_settings
from semrsm_cli.config.schemas import register_schemas
from tests.test_config import compose


@pytest.fixture(autouse=True, scope="module")
def schemas() -> None:
    register_schemas()


def names(config: Any, prefix: str = "") -> Iterator[str]:
    """The whole names of all settings."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from names(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_identifies_but_those_without_effect(task: str) -> None:
    config = compose(task)
    identity = identifying_settings(config)
    assert set(identity) == set(names(config)) - WITHOUT_EFFECT
    json.dumps(identity, allow_nan=False)  # plain values alone, the same when they are read again
    assert json.loads(json.dumps(identity)) == identity


def test_what_has_no_effect_is_a_setting_of_some_task() -> None:
    known = {name for task in TASKS for name in names(compose(task))}
    assert known | {"dataset.root"} >= WITHOUT_EFFECT


def test_the_same_settings_are_the_same_however_they_are_given() -> None:
    plain = identifying_settings(compose("retrieve"))
    written = ("matching=optimal", "centering=sample", "model.layers=[last]", "seed=3", "n_pictures=0")
    assert identifying_settings(compose("retrieve", *written)) == plain
    others = ["sigma_tile=16", "model.readout=before_norm", "centering=none", "matching.tolerance=1e-3", "shortlist=9"]
    others += ["dataset.n_queries=8", "dataset.n_scenes=5", "model.label=other", "runtime.precision=float16"]
    for change in others:
        assert identifying_settings(compose("retrieve", change)) != plain, change
