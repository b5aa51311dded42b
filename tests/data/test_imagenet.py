from pathlib import Path

import pytest

from semrsm_cli.data import ImageNet, Images, OnError, TinyImageNet, TrainingSet
from semrsm_cli.errors import SemrsmError
from tests.data.pictures import picture


def imagenet(root: Path | None, split: str) -> Images:
    return ImageNet(root=root and str(root), split=split).images(Path())


def tiny_imagenet(root: Path | None, split: str, on_error: OnError = OnError.stop) -> Images:
    return TinyImageNet(root=root and str(root), split=split, on_error=on_error).images(Path())


def tiny_training(root: Path) -> TrainingSet:
    return TinyImageNet(root=str(root)).training_set(Path(), 0.2)


IMAGENET_FILES = {
    "classes": ("{split}/n01440764/n01440764_10026.JPEG", "{split}/n01443537/n01443537_2.JPEG"),
    "flat": ("{split}/ILSVRC2012_val_00000001.JPEG", "{split}/ILSVRC2012_val_00000002.JPEG"),
    "kaggle": (
        "ILSVRC/Data/CLS-LOC/{split}/ILSVRC2012_val_00000001.JPEG",
        "ILSVRC/Data/CLS-LOC/{split}/n01440764/n01440764_10026.JPEG",
    ),
}


@pytest.mark.parametrize("layout", IMAGENET_FILES)
def test_every_layout_gives_the_files_of_the_split_alone(tmp_path, layout):
    for split in ("train", "val", "test"):
        for name in IMAGENET_FILES[layout]:
            picture(tmp_path / name.format(split=split))
    (tmp_path / "ILSVRC/Annotations/CLS-LOC/val").mkdir(parents=True)
    (tmp_path / "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml").touch()
    for split in ("train", "val", "test"):
        images = imagenet(tmp_path, split=split)
        assert images.ids == tuple(name.format(split=split) for name in IMAGENET_FILES[layout]), split
        assert images.groups == images.ids
        assert (images[0].mode, images[0].size) == ("RGB", (8, 8))


@pytest.mark.parametrize("name", ["n01440764/n01440764_10026.JPEG", "ILSVRC2012_test_00000001.JPEG"])
def test_a_root_without_splits_is_the_split(tmp_path, name):
    picture(tmp_path / name)
    assert imagenet(tmp_path, split="test").ids == (name,)


def test_val_may_be_spelt_validation(tmp_path):
    picture(tmp_path / "validation/x.JPEG")
    assert imagenet(tmp_path, split="val").ids == ("validation/x.JPEG",)


def test_the_root_is_a_folder_of_semrsm_data_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMRSM_DATA", str(tmp_path))
    picture(tmp_path / "imagenet/val/x.JPEG")
    picture(tmp_path / "tiny-imagenet-200/val/images/val_0.JPEG")
    assert imagenet(None, split="val").ids == ("val/x.JPEG",)
    assert tiny_imagenet(None, split="val").ids == ("val/images/val_0.JPEG",)


@pytest.fixture
def tiny(tmp_path) -> Path:
    for wnid in ("n02124075", "n01443537"):
        (tmp_path / "train" / wnid).mkdir(parents=True)
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
        for i in (0, 10, 2):
            picture(tmp_path / "train" / wnid / "images" / f"{wnid}_{i}.JPEG")
    for split in ("val", "test"):
        picture(tmp_path / split / "images" / f"{split}_0.JPEG")
    (tmp_path / "val/val_annotations.txt").write_text("val_0.JPEG\tn02124075\t0\t32\t44\t62\n")
    (tmp_path / "wnids.txt").write_text("n02124075\nn01443537\n")
    return tmp_path


def test_tiny_imagenet_in_its_own_layout(tiny):
    expected = [f"train/{wnid}/images/{wnid}_{i}.JPEG" for wnid in ("n01443537", "n02124075") for i in ("0", "10", "2")]
    assert list(tiny_imagenet(tiny, split="train").ids) == expected
    assert tiny_imagenet(tiny, split="val").ids == ("val/images/val_0.JPEG",)
    assert tiny_imagenet(tiny, split="test").ids == ("test/images/test_0.JPEG",)


def test_a_split_that_is_missing_names_those_that_are_there(tiny):
    (tiny / "test/images/test_0.JPEG").unlink()
    with pytest.raises(SemrsmError, match=r"no images in .*test: it holds no files"):
        tiny_imagenet(tiny, split="test")
    (tiny / "test/images").rmdir()
    (tiny / "test").rmdir()
    with pytest.raises(SemrsmError, match="has no split 'test'; it holds train, val"):
        tiny_imagenet(tiny, split="test")


def test_broken_files_are_skipped_when_asked_for(tiny):
    (tiny / "val/images/val_1.JPEG").write_bytes(b"\xff\xd8\xff")
    assert len(tiny_imagenet(tiny, split="val")) == 2
    images = tiny_imagenet(tiny, split="val", on_error=OnError.skip)
    assert images.ids == ("val/images/val_0.JPEG",)
    assert images.skipped == ("val/images/val_1.JPEG",)


def test_imagenet_s_classes_are_its_folders(tmp_path):
    for split in ("train", "val"):
        for name in ("n02", "n01"):
            picture(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / split / name / f"{name}_1.JPEG")
    found = ImageNet(root=str(tmp_path)).training_set(Path(), 0.2)
    assert found.val.classes == ("n01", "n02")
    assert found.val.labels.tolist() == [0, 1]


def test_imagenet_s_flat_validation_images_have_no_classes(tmp_path):
    picture(tmp_path / "train" / "n01" / "1.JPEG")
    picture(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(SemrsmError, match="outside of class folders"):
        ImageNet(root=str(tmp_path)).training_set(Path(), 0.2)


def test_training_needs_both_splits(tiny):
    for place in (tiny / "val" / "images" / "val_0.JPEG", tiny / "val" / "val_annotations.txt"):
        place.unlink()
    (tiny / "val" / "images").rmdir()
    (tiny / "val").rmdir()
    with pytest.raises(SemrsmError, match="has no split 'val'; training takes train and val, each with class folders"):
        tiny_training(tiny)


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """Three validation images in one folder, and the table of their classes."""
    for name in ("n02", "n01"):
        picture(tmp_path / "train" / name / "images" / f"{name}_0.JPEG")
    for i in range(3):
        picture(tmp_path / "val" / "images" / f"val_{i}.JPEG")
    rows = [f"val_{i}.JPEG\t{name}\t0\t0\t62\t57" for i, name in enumerate(("n02", "n01", "n02"))]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_tiny_imagenet_s_classes_stand_in_its_annotations(described):
    found = tiny_training(described)
    assert [found.val.classes[label] for label in found.val.labels] == ["n02", "n01", "n02"]
    assert found.train.images.ids[0] == "train/n01/images/n01_0.JPEG"
    picture(described / "val" / "images" / "val_9.JPEG")
    with pytest.raises(SemrsmError, match=r"says nothing of 1 images, the first is val/images/val_9.JPEG"):
        tiny_training(described)


def test_tiny_imagenet_s_validation_images_may_be_sorted_into_folders(described):
    (described / "val" / "val_annotations.txt").unlink()
    for i, name in enumerate(("n02", "n01", "n02")):
        (described / "val" / name).mkdir(exist_ok=True)
        (described / "val" / "images" / f"val_{i}.JPEG").rename(described / "val" / name / f"val_{i}.JPEG")
    assert tiny_training(described).val.labels.tolist() == [0, 1, 1]
