"""The settings of a training: checked, and a schema for Hydra as they are."""

from dataclasses import FrozenInstanceError, fields

import pytest
from omegaconf import OmegaConf

from semrsm_cli.models.from_run import Description
from semrsm_cli.models.recipe import Architecture, NetworkSpec, Recipe, TrainingPrecision


def test_is_a_schema_for_hydra() -> None:
    schema = OmegaConf.structured(Recipe)
    OmegaConf.set_readonly(schema, None)  # OmegaConf locks what it makes of a frozen class
    changes = {"architecture": "resnet34", "epochs": 30, "mean": [0, 0.5, 1], "precision": "bfloat16"}
    recipe = OmegaConf.to_object(OmegaConf.merge(schema, changes))
    assert recipe == Recipe(
        architecture=Architecture.resnet34,
        epochs=30,
        mean=[0.0, 0.5, 1.0],
        precision=TrainingPrecision.bfloat16,
    )
    with pytest.raises(FrozenInstanceError):
        recipe.epochs = 3


def test_what_a_network_needs_is_written_once() -> None:
    shared = {field.name for field in fields(NetworkSpec)}
    assert set(Recipe.__annotations__) & shared == set(Description.__annotations__) & shared == set()


def test_refuses() -> None:
    for setting, value, complaint in (
        ("width", 0, "width must be at least 1, got 0"),
        ("image_size", 15, "image_size must be at least 16, got 15"),
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("cutout", -1, "cutout must be at least 0, got -1"),
        ("weight_decay", float("inf"), "weight_decay must be at least 0, got inf"),
        ("learning_rate", 0.0, "learning_rate must be above 0 and finite, got 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be above 0 and finite, got nan"),
        ("momentum", 1.0, "momentum must be at least 0 and below 1, got 1.0"),
        ("mean", [0.5], "mean must hold three numbers, as in [0.5,0.5,0.5], got [0.5]"),
        ("std", [0.5], "std must hold three numbers, as in [0.5,0.5,0.5], got [0.5]"),
        ("mean", [0.5, 0.5, float("nan")], "mean must be finite, got [0.5, 0.5, nan]"),
        ("std", [0.5, 0.0, 0.5], "std must be above 0 and finite, got [0.5, 0.0, 0.5]"),
    ):
        with pytest.raises(ValueError, match=rf"^{setting} ") as caught:
            Recipe(**{setting: value})
        assert str(caught.value) == complaint
