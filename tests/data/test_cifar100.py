"""CIFAR-100: pickles that are opened only if they are the published ones."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR100

from semrsm_cli.data import Cifar100, Images
from semrsm_cli.errors import SemrsmError


class Harmful:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "run")


@pytest.fixture
def root(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the published form, with checksums to match."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    contents = {
        split: {"data": rng.integers(0, 256, (n, 3072), dtype=np.uint8), "fine_labels": list(range(n))}
        for split, n in (("train", 5), ("test", 3))
    }
    contents["meta"] = {"fine_label_names": [f"class {i}" for i in range(5)]}
    checksums = {}
    for name, content in contents.items():
        data = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(data)
        checksums[name] = hashlib.md5(data).hexdigest()
    monkeypatch.setattr(CIFAR100, "train_list", [["train", checksums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", checksums["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": checksums["meta"]})
    return tmp_path


def images(root: Path | None, split: str) -> Images:
    return Cifar100(root=root and str(root), split=split).images(Path())


def test_pixels_and_classes(root: Path) -> None:
    found = Cifar100(root=str(root)).classified("train")
    with (root / "cifar-100-python" / "train").open("rb") as file:
        first = pickle.load(file)["data"][0]
    picture, label = found[0]
    np.testing.assert_array_equal(np.asarray(picture), first.reshape(3, 32, 32).transpose(1, 2, 0))
    assert (label, found.classes[label], found.images.ids[0]) == (0, "class 0", "train/00000")
    assert [label for _, label in found] == [0, 1, 2, 3, 4]
    assert found.images.ids == images(root, "train").ids
    assert found.images.fingerprint() != images(root, "test").fingerprint()


def test_the_stamp_is_the_checksum_of_the_file(root: Path) -> None:
    for split in ("train", "test"):
        checksum = hashlib.md5((root / "cifar-100-python" / split).read_bytes()).hexdigest()
        found = images(root, split)
        assert found.reader.version_key(found.ids[1]) == checksum, split


def test_training_takes_the_training_images_and_keeps_some_of_each_class(root: Path, monkeypatch) -> None:
    folder = root / "cifar-100-python"
    data = pickle.dumps({"data": np.zeros((10, 3072), np.uint8), "fine_labels": [0, 1] * 5}, protocol=2)
    (folder / "train").write_bytes(data)
    monkeypatch.setattr(CIFAR100, "train_list", [["train", hashlib.md5(data).hexdigest()]])
    found = Cifar100(root=str(root), split="test").training_set(Path(), 0.2)
    assert found.val.images.ids == ("train/00008", "train/00009")
    assert len(found.train) == 8


def test_the_folder_may_be_the_default_one_or_have_any_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMRSM_DATA", str(root))
    assert len(images(None, "test")) == 3
    assert len(images(root / "cifar-100-python", "test")) == 3
    (root / "cifar-100-python").rename(root / "mine")
    assert len(images(root / "mine", "test")) == 3


def test_the_other_split_need_not_be_there(root: Path) -> None:
    (root / "cifar-100-python" / "train").unlink()
    assert len(images(root, "test")) == 3


@pytest.mark.parametrize("name", ["train", "meta"])
def test_another_file_is_refused_unopened(root: Path, name: str) -> None:
    harmful = pickle.dumps(Harmful(root / "harm"))
    (root / "cifar-100-python" / name).write_bytes(harmful)
    with pytest.raises(SemrsmError, match=f"{name} is not the published file: its MD5 is") as error:
        images(root, "train")
    assert not (root / "harm").exists()
    assert "\n" not in str(error.value)
    pickle.loads(harmful)
    assert (root / "harm").exists()


@pytest.mark.parametrize("name", ["test", "meta"])
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (root / "cifar-100-python" / name).unlink()
    with pytest.raises(SemrsmError, match=f"{name} cannot be read: No such file or directory; unpack cifar-100"):
        images(root, "test")


def test_a_split_that_does_not_exist(root: Path) -> None:
    with pytest.raises(SemrsmError, match="has no split 'val'; it holds train, test"):
        images(root, "val")
