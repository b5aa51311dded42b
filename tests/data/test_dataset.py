"""What the settings of every data set have in common."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from semrsm_cli.data import DATASETS, Dataset, Photos, RetrievalDataset
from semrsm_cli.errors import ConfigError

SEARCHED = {"cityscapes", "egoobjects", "folder", "python", "scenes"}
CLASSIFIED = {"cifar100", "folder", "imagenet", "python", "scenes", "tiny_imagenet"}


def test_every_set_has_its_name_in_the_table_and_can_be_asked_for_images():
    for name, kind in DATASETS.items():
        assert issubclass(kind, Dataset), name
        assert kind().name == name  # every other setting has a default too
    assert list(DATASETS) == sorted(DATASETS)


def test_settings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Photos().regions = 7


def refusal(method: str, name: str) -> str:
    """What a set says that cannot give what it is asked for."""
    with pytest.raises(ConfigError) as raised:
        getattr(DATASETS[name](), method)(Path(), 0)
    return str(raised.value)


def test_sets_without_queries_name_those_that_have_some():
    assert {name for name, kind in DATASETS.items() if issubclass(kind, RetrievalDataset)} == SEARCHED
    for name in DATASETS.keys() - SEARCHED:
        expected = f"dataset={name} holds no queries; choose dataset=egoobjects, cityscapes, scenes, folder or python"
        assert refusal("retrieval_set", name) == expected


def test_sets_without_classes_name_those_that_have_some():
    for name in DATASETS.keys() - CLASSIFIED:
        complaint = refusal("training_set", name)
        assert complaint.startswith(f"dataset={name} has no classes to learn; choose scenes, folder, python, cifar100")
    for name in CLASSIFIED:
        assert DATASETS[name].training_set is not Dataset.training_set, name
