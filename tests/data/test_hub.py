from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrsm_cli.data import ImageNet, OnError, TinyImageNet
from semrsm_cli.data.hub import hub_images
from semrsm_cli.data.images import Reading
from semrsm_cli.errors import SemrsmError

datasets = pytest.importorskip("datasets")

SPLITS = {"train": (10, 20, 30), "validation": (40, 50)}


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch) -> Path:
    """No network, and a cache of the test's own; both were read when Hugging Face's packages were imported."""
    cache = tmp_path / "hf"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache / "datasets")
    return cache


def encoded(shade: int, image_format: str = "png") -> bytes:
    stream = BytesIO()
    Image.new("L", (8, 8), shade).save(stream, format=image_format)
    return stream.getvalue()


def rows(shades: tuple[int, ...], column: str = "image") -> object:
    pictures = [{"bytes": encoded(shade), "path": f"{shade}.png"} for shade in shades]
    features = datasets.Features({column: datasets.Image(), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({column: pictures, "label": list(range(len(shades)))}, features=features)


def parquet_clone(root: Path) -> Path:
    (root / "data").mkdir(parents=True)
    for split, shades in SPLITS.items():
        rows(shades).to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    return root


def parquet_clone_with_card(root: Path) -> Path:
    parquet_clone(root)
    card = ["---", "configs:", "- config_name: default", "  data_files:"]
    card += [f"  - split: {split}\n    path: data/{split}-*" for split in SPLITS]
    card += ["dataset_info:", "  features:", "  - name: image\n    dtype: image", "  - name: label\n    dtype: int64"]
    card += ["  splits:", *(f"  - name: {split}\n    num_bytes: 1\n    num_examples: 1" for split in SPLITS), "---", ""]
    (root / "README.md").write_text("\n".join(card))
    return root


def saved_to_disk(root: Path) -> Path:
    datasets.DatasetDict({split: rows(shades) for split, shades in SPLITS.items()}).save_to_disk(root)
    return root


def image_folder(root: Path) -> Path:
    for split, shades in SPLITS.items():
        for shade in shades:
            path = root / split / "n01440764" / f"{shade}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(shade))
    return root


def shades_of(images) -> list[int]:
    return [int(np.asarray(image)[0, 0, 0]) for image in images]


@pytest.mark.parametrize("copy", [parquet_clone, parquet_clone_with_card, saved_to_disk, image_folder])
def test_local_copies_give_the_split_asked_for(tmp_path, copy):
    root = copy(tmp_path / "copy")
    images = ImageNet(split="val", hub=str(root)).images(Path())
    assert images.ids == ("validation/00000000", "validation/00000001")
    assert images.groups == images.ids
    assert shades_of(images) == [40, 50]
    assert images[0].mode == "RGB"
    assert shades_of(TinyImageNet(split="train", hub=str(root)).images(Path()).select([2, 0])) == [30, 10]
    with pytest.raises(SemrsmError, match=r"copy has no split 'test'; it holds train, validation"):
        ImageNet(split="test", hub=str(root)).images(Path())


def test_one_split_saved_to_disk(tmp_path):
    rows((1, 2)).save_to_disk(tmp_path / "one")
    assert shades_of(hub_images("x", str(tmp_path / "one"), "test")) == [1, 2]


def test_the_fingerprint_follows_the_pictures(tmp_path):
    first, again, other = (
        hub_images("x", str(parquet_clone(tmp_path / name)), split)
        for name, split in (("a", "train"), ("b", "train"), ("c", "val"))
    )
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert first.select([0]).fingerprint() != first.select([1]).fingerprint()


def test_broken_images_are_named_or_skipped(tmp_path):
    pictures = [{"bytes": encoded(7), "path": "a.png"}, {"bytes": b"no picture", "path": "b.png"}, None]
    features = datasets.Features({"picture": datasets.Image()})
    datasets.Dataset.from_dict({"picture": pictures}, features=features).save_to_disk(tmp_path / "x")
    images = hub_images("x", str(tmp_path / "x"), "val")
    with pytest.raises(SemrsmError, match="x val/00000001 is no image"):
        images[1]
    with pytest.raises(SemrsmError, match="x val/00000002 holds no image"):
        images[2]
    kept = hub_images("x", str(tmp_path / "x"), "val", reading=Reading(OnError.skip))
    assert kept.ids == ("val/00000000",)
    assert kept.skipped == ("val/00000001", "val/00000002")


def test_a_data_set_without_images_names_its_columns(tmp_path):
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).save_to_disk(tmp_path / "x")
    with pytest.raises(SemrsmError, match="has no column of images; its columns are text, label"):
        hub_images("x", str(tmp_path / "x"), "val")


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SemrsmError, match=r"empty cannot be read as a data set"):
        hub_images("x", str(tmp_path / "empty"), "val")


def test_what_was_fetched_before_is_read_without_a_network(offline):
    repository = offline / "hub/datasets--someone--images"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0123abcd")
    parquet_clone(repository / "snapshots/0123abcd")
    assert shades_of(hub_images("x", "someone/images", "val")) == [40, 50]


@pytest.mark.parametrize(
    ("hub", "command"),
    [
        ("ILSVRC/imagenet-1k", "semrsm data fetch imagenet split=val"),
        ("someone/images", "hf download --repo-type dataset someone/images"),
        ("/no/such/folder", "hf download --repo-type dataset /no/such/folder"),
    ],
)
def test_offline_the_error_says_what_to_fetch_on_one_line(hub, command):
    with pytest.raises(SemrsmError) as raised:
        ImageNet(split="val", hub=hub).images(Path())
    assert f"{hub} is no folder, and cannot be fetched from Hugging Face" in str(raised.value)
    assert f"run {command}, and" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_split_is_read_where_the_others_that_the_card_names_were_not_fetched(tmp_path):
    root = parquet_clone_with_card(tmp_path / "copy")
    next((root / "data").glob("train*")).unlink()
    assert shades_of(hub_images("x", str(root), "val")) == [40, 50]
    with pytest.raises(SemrsmError, match=r"has no split 'train'; it holds validation"):
        hub_images("x", str(root), "train")
