"""Images with classes from Hugging Face data sets: CIFAR-100's in its own layout, and those of three splits."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from semrsm_cli.data import Cifar100, ImageNet, OnError, TinyImageNet
from semrsm_cli.data.hub import hub_classified
from semrsm_cli.data.images import Reading
from semrsm_cli.errors import SemrsmError

datasets = pytest.importorskip("datasets")

FINE = [f"fine {i}" for i in range(100)]
COARSE = [f"coarse {i}" for i in range(20)]
LABELS = {"train": [99, 3, 3, 99, 3, 99], "test": [3, 99, 0]}
CARD = """---
dataset_info:
  config_name: cifar100
  features:
  - name: img
    dtype: image
  - name: fine_label
    dtype:
      class_label:
        names:
{fine}
  - name: coarse_label
    dtype:
      class_label:
        names:
{coarse}
  splits:
  - name: train
    num_bytes: 1
    num_examples: 6
  - name: test
    num_bytes: 1
    num_examples: 3
configs:
- config_name: cifar100
  data_files:
  - split: train
    path: cifar100/train-*
  - split: test
    path: cifar100/test-*
  default: true
---
"""


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, and a cache of the test's own; both were read when Hugging Face's packages were imported."""
    cache = tmp_path / "hf"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache / "datasets")
    return cache


def png(shade: int, side: int = 32) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (side, side), (shade, 0, 0)).save(stream, format="png")
    return stream.getvalue()


def cifar100(root: Path, *, with_schema: bool = True) -> Path:
    """The files of uoft-cs/cifar100, with few images; some tools leave the schema in the card alone."""
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=FINE),
            "coarse_label": datasets.ClassLabel(names=COARSE),
        }
    )
    (root / "cifar100").mkdir(parents=True)
    for split, labels in LABELS.items():
        pictures = [{"bytes": png(10 * i), "path": None} for i in range(len(labels))]
        columns = {"img": pictures, "fine_label": labels, "coarse_label": [0] * len(labels)}
        path = root / "cifar100" / f"{split}-00000-of-00001.parquet"
        if with_schema:
            datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
        else:
            pq.write_table(pa.table(columns), path)
    names = {
        kind: "\n".join(f"          '{i}': {name}" for i, name in enumerate(names))
        for kind, names in (("fine", FINE), ("coarse", COARSE))
    }
    (root / "README.md").write_text(CARD.format(**names))
    return root


@pytest.mark.parametrize("with_schema", [True, False])
def test_cifar100_gives_its_images_and_fine_classes(tmp_path: Path, with_schema: bool) -> None:
    root = cifar100(tmp_path / "copy", with_schema=with_schema)
    dataset = Cifar100(hub=str(root))
    images = dataset.images(Path())
    assert images.ids == ("test/00000000", "test/00000001", "test/00000002")
    assert [image.getpixel((0, 0))[0] for image in images] == [0, 10, 20]
    assert [(header.width, header.height, header.is_turned) for header in images.headers] == [(32, 32, False)] * 3
    found = dataset.classified("train")
    assert found.classes == tuple(FINE)
    assert found.labels.tolist() == LABELS["train"]
    assert [label for _, label in found] == LABELS["train"]
    training = dataset.training_set(Path(), 0.3)
    assert training.train.classes == training.val.classes == tuple(FINE)
    assert training.val.images.ids == ("train/00000004", "train/00000005")
    assert training.val.labels.tolist() == [3, 99]
    with pytest.raises(SemrsmError, match="has no split 'val'; it holds train, test"):
        Cifar100(hub=str(root), split="val").images(Path())


def test_cifar100_that_was_fetched_before_is_read_by_its_id(offline: Path) -> None:
    repository = offline / "hub/datasets--uoft-cs--cifar100"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0123abcd")
    cifar100(repository / "snapshots/0123abcd")
    assert len(Cifar100(hub="uoft-cs/cifar100").classified("test")) == 3


def three_splits(root: Path, feature: object, train: list[object], val: list[object]) -> Path:
    features = datasets.Features({"image": datasets.Image(), "label": feature})
    (root / "data").mkdir(parents=True)
    for split, labels in (("train", train), ("validation", val)):
        pictures = [{"bytes": png(10 * i, 8), "path": None} for i in range(len(labels))]
        rows = datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=features)
        rows.to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize("kind", [ImageNet, TinyImageNet])
def test_training_takes_both_splits_of_the_hub(tmp_path: Path, kind: type) -> None:
    names = datasets.ClassLabel(names=["zebra", "ant"])
    root = three_splits(tmp_path / "x", names, [0, 1, 1], [1, 0])
    found = kind(hub=str(root)).training_set(Path(), 0.2)
    assert found.train.classes == ("zebra", "ant")
    assert (found.train.labels.tolist(), found.val.labels.tolist()) == ([0, 1, 1], [1, 0])
    assert found.val.images.ids == ("validation/00000000", "validation/00000001")


def test_labels_stay_with_their_images_where_some_cannot_be_read(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    pictures = [{"bytes": data, "path": None} for data in (png(7), b"no picture", png(9))]
    rows = datasets.Dataset.from_dict({"image": pictures, "label": [0, 0, 1]}, features=features)
    rows.save_to_disk(tmp_path / "x")
    found = hub_classified("x", str(tmp_path / "x"), "train", reading=Reading(OnError.skip))
    assert found.labels.tolist() == [0, 1]
    assert found.images.skipped == ("train/00000001",)
    assert np.asarray(found[1][0])[0, 0, 0] == 9


def test_a_data_set_without_classes_is_refused_on_one_line(tmp_path: Path) -> None:
    plain = three_splits(tmp_path / "plain", datasets.Value("int64"), [0], [0])
    with pytest.raises(SemrsmError, match=r"no column \'label\' with names of classes \(.* kind: none\)") as raised:
        ImageNet(hub=str(plain)).training_set(Path(), 0.2)
    assert "\n" not in str(raised.value)
    with pytest.raises(SemrsmError, match=r"no column 'label' .* kind: fine_label, coarse_label\)"):
        ImageNet(hub=str(cifar100(tmp_path / "other"))).training_set(Path(), 0.2)
    hidden = three_splits(tmp_path / "hidden", datasets.ClassLabel(names=["a"]), [0, -1, None], [0])
    with pytest.raises(SemrsmError, match="has no class for 2 images of train; train on another split"):
        ImageNet(hub=str(hidden)).training_set(Path(), 0.2)
