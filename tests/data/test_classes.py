"""Images with one class each, apart for training and validation."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrsm_cli.data import (
    ClassifiedImages,
    Filming,
    Images,
    classified_folder,
    classified_imagenet,
    classified_tiny_imagenet,
    held_out,
    scene_objects,
)
from semrsm_cli.errors import SemrsmError


def picture(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(path)


def classified(groups: list[str], labels: list[int]) -> ClassifiedImages:
    ids = tuple(str(i) for i in range(len(groups)))
    classes = tuple("abcdef"[: max(labels) + 1])
    return ClassifiedImages(Images("set", ids, tuple(groups), None), classes, np.array(labels))  # type: ignore[arg-type]


def test_last_groups_of_every_class_are_held_out() -> None:
    found = held_out(classified(["p", "p", "q", "r", "s", "s", "t"], [0, 0, 0, 0, 1, 1, 1]), 0.2)
    assert found.train.images.ids == ("0", "1", "2", "4", "5")
    assert found.val.images.ids == ("3", "6")
    assert found.val.labels.tolist() == [0, 1]


def test_share_that_is_held_out() -> None:
    groups = [str(i) for i in range(100)]
    assert len(held_out(classified(groups, [0, 1] * 50), 0.2).val) == 20


def test_class_of_one_image_cannot_be_shared() -> None:
    with pytest.raises(SemrsmError, match="one image of class b"):
        held_out(classified(["p", "q", "r"], [0, 0, 1]), 0.2)


def test_folder_of_class_folders(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for i in range(5):
            picture(tmp_path / name / "deeper" / f"{i}.png")
    found = classified_folder(tmp_path, share=0.4)
    assert found.train.classes == ("cat", "dog")
    assert Counter(found.train.labels.tolist()) == {0: 3, 1: 3}
    assert found.val.images.ids[0] == "cat/deeper/3.png"
    picture(tmp_path / "loose.png")
    with pytest.raises(SemrsmError, match=r"1 images outside of class folders, the first is loose.png"):
        classified_folder(tmp_path, share=0.4)


def test_folder_with_splits(tmp_path: Path) -> None:
    for split, n in (("train", 3), ("val", 1)):
        for name in ("cat", "dog"):
            for i in range(n):
                picture(tmp_path / split / name / f"{i}.png")
    found = classified_folder(tmp_path, share=0.4)
    assert (len(found.train), len(found.val)) == (6, 2)
    picture(tmp_path / "val" / "owl" / "0.png")
    with pytest.raises(
        SemrsmError, match="2 classes to train on and 3 to validate with, the first that differs is owl"
    ):
        classified_folder(tmp_path, share=0.4)


def test_imagenet_in_kaggle_s_layout(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("n02", "n01"):
            picture(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / split / name / f"{name}_1.JPEG")
    found = classified_imagenet(tmp_path)
    assert found.val.classes == ("n01", "n02")
    assert found.val.labels.tolist() == [0, 1]


def test_flat_validation_images_of_imagenet_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "n01" / "1.JPEG")
    picture(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(SemrsmError, match="outside of class folders"):
        classified_imagenet(tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    for name in ("n02", "n01"):
        picture(tmp_path / "train" / name / "images" / f"{name}_0.JPEG")
    for i in range(3):
        picture(tmp_path / "val" / "images" / f"val_{i}.JPEG")
    rows = [f"val_{i}.JPEG\t{name}\t0\t0\t62\t57" for i, name in enumerate(("n02", "n01", "n02"))]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_tiny_imagenet_by_its_annotations(tiny: Path) -> None:
    found = classified_tiny_imagenet(tiny)
    assert [found.val.classes[label] for label in found.val.labels] == ["n02", "n01", "n02"]
    assert found.train.images.ids[0] == "train/n01/images/n01_0.JPEG"
    picture(tiny / "val" / "images" / "val_9.JPEG")
    with pytest.raises(SemrsmError, match=r"says nothing of 1 images, the first is val/images/val_9.JPEG"):
        classified_tiny_imagenet(tiny)


def test_tiny_imagenet_with_sorted_validation_images(tiny: Path) -> None:
    (tiny / "val" / "val_annotations.txt").unlink()
    for i, name in enumerate(("n02", "n01", "n02")):
        (tiny / "val" / name).mkdir(exist_ok=True)
        (tiny / "val" / "images" / f"val_{i}.JPEG").rename(tiny / "val" / name / f"val_{i}.JPEG")
    assert classified_tiny_imagenet(tiny).val.labels.tolist() == [0, 1, 1]


def test_objects_of_scenes_are_cut_out_square(tmp_path: Path) -> None:
    found = scene_objects(tmp_path, Filming(n_scenes=6, n_videos=3, n_frames=2), share=0.2)
    assert len(found.val) > 0
    videos = [
        {group for group, label in zip(part.images.groups, part.labels, strict=True) if label == 0}
        for part in (found.train, found.val)
    ]
    assert not videos[0] & videos[1]
    for i in range(0, len(found.train), 7):
        image, label = found.train[i]
        assert image.width == image.height >= 8
        assert 0 <= label < len(found.train.classes)
    assert (
        found.train.images.fingerprint()
        == scene_objects(tmp_path, Filming(n_scenes=6, n_videos=3, n_frames=2), share=0.2).train.images.fingerprint()
    )
