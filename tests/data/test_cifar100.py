"""CIFAR-100: pickles that are opened only if they are the published ones."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR100

from semrsm_cli.data import cifar100
from semrsm_cli.data.cifar100 import CHECKSUMS
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
    for name, content in contents.items():
        data = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(data)
        monkeypatch.setitem(CHECKSUMS, name, hashlib.md5(data).hexdigest())
    return tmp_path


def test_pixels_and_classes(root: Path) -> None:
    found = cifar100(root, split="train")
    with (root / "cifar-100-python" / "train").open("rb") as file:
        first = pickle.load(file)["data"][0]
    picture, label = found[0]
    np.testing.assert_array_equal(np.asarray(picture), first.reshape(3, 32, 32).transpose(1, 2, 0))
    assert (label, found.classes[label], found.images.ids[0]) == (0, "class 0", "train/00000")
    assert [label for _, label in found] == [0, 1, 2, 3, 4]
    assert found.images.fingerprint() != cifar100(root, split="test").images.fingerprint()


def test_folder_by_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMRSM_DATA", str(root))
    assert len(cifar100(None, split="test")) == 3
    assert len(cifar100(root / "cifar-100-python", split="test")) == 3


@pytest.mark.parametrize("name", ["train", "meta"])
def test_other_file_is_refused_unopened(root: Path, name: str) -> None:
    path = root / "cifar-100-python" / name
    path.write_bytes(pickle.dumps(Harmful(root / "harm")))
    with pytest.raises(SemrsmError, match=f"{name} is not the published file: its MD5 is") as error:
        cifar100(root, split="train")
    assert not (root / "harm").exists()
    assert "\n" not in str(error.value)


def test_missing_file_and_unknown_split(root: Path) -> None:
    (root / "cifar-100-python" / "test").unlink()
    with pytest.raises(SemrsmError, match="test cannot be read: No such file"):
        cifar100(root, split="test")
    with pytest.raises(SemrsmError, match="has no split 'val'"):
        cifar100(root, split="val")


def test_checksums_are_torchvision_s() -> None:
    theirs = dict((*CIFAR100.train_list, *CIFAR100.test_list)) | {"meta": CIFAR100.meta["md5"]}
    assert theirs == CHECKSUMS
