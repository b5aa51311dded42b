from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semrsm_cli.data import Cityscapes, ClassSet, ImageOrder, Metric, OnError, RetrievalSet, RetrievalSplit, write_split
from semrsm_cli.data.cityscapes import _CLASSES, _IDS_EVALUATED
from semrsm_cli.errors import SemrsmError
from tests.data import cityscapes_files


@pytest.fixture
def root(tmp_path):
    return cityscapes_files.write(tmp_path / "cityscapes")


def searched(root: Path | None, seed: int = 0, order: ImageOrder = ImageOrder.files, **settings: Any) -> RetrievalSet:
    return Cityscapes(root=root and str(root), **settings).retrieval_set(Path(), seed, order)


def test_all_images_come_in_a_random_order_of_the_seed(root):
    orders = {searched(root, seed, ImageOrder.drawn).split for seed in range(9)}
    assert len({split.database for split in orders}) > 2
    assert len({split.queries for split in orders}) == 2
    assert len({frozenset(split.database) for split in orders}) == 1
    assert searched(root, 1, ImageOrder.drawn).split == searched(root, 1, ImageOrder.drawn).split


def test_validation_images_are_the_queries_and_training_images_the_database_sorted(root):
    found = searched(root)
    assert found.queries.images.ids == (
        "leftImg8bit/val/frankfurt/frankfurt_000003_000020_leftImg8bit.png",
        "leftImg8bit/val/munster/munster_000003_000019_leftImg8bit.png",
    )
    assert [image_id.split("/")[-1] for image_id in found.database.images.ids] == [
        "aachen_000003_000005_leftImg8bit.png",
        "aachen_000003_000022_leftImg8bit.png",
        "ulm_000003_000021_leftImg8bit.png",
    ]
    assert found.queries.images[1].getpixel((0, 0)) == (19, 0, 0)
    assert found.database.scenes == ("aachen", "aachen", "ulm")
    assert found.database.videos == ("aachen_000003", "aachen_000003", "ulm_000003")
    assert found.metric is Metric.presence_iou


def test_classes_are_those_whose_labels_are_present(root):
    found = searched(root)
    assert len(found.classes) == 19
    assert [found.queries.objects(i) for i in range(2)] == [{"road": 1}, {"road": 1, "car": 1}]
    assert [found.database.objects(i) for i in range(3)] == [{"road": 1}, {}, {"train": 1}]


def test_class_sets(root):
    for class_set, n, shown in (
        (ClassSet.eval19, 19, {"train"}),
        (ClassSet.official30, 30, {"static", "train"}),
        (ClassSet.all34, 34, {"unlabeled", "static", "train"}),
    ):
        found = searched(root, class_set=class_set)
        assert found.database.counts.shape == (3, n), class_set
        assert set(found.database.objects(2)) == shown, class_set


def test_the_table_of_classes_is_that_of_torchvision():
    torchvision = pytest.importorskip("torchvision.datasets")
    table = [entry for entry in torchvision.Cityscapes.classes if entry.id >= 0]
    assert tuple(entry.name for entry in sorted(table, key=lambda entry: entry.id)) == _CLASSES
    assert tuple(sorted(entry.id for entry in table if not entry.ignore_in_eval)) == _IDS_EVALUATED


def test_a_class_of_few_pixels_may_not_count(root):
    assert searched(root, min_pixels=3).queries.objects(1) == {"road": 1, "car": 1}
    assert searched(root, min_pixels=4).queries.objects(1) == {"road": 1}


def test_some_of_both_sides_are_drawn(root, tmp_path):
    found = searched(root, n_queries=1, n_database=2, seed=5)
    assert (len(found.queries), len(found.database)) == (1, 2)
    assert len(found.database.counts) == 2
    write_split(tmp_path / "split.csv", found.split)
    again = searched(root, split_file=tmp_path / "split.csv")
    assert again.split == found.split
    assert np.array_equal(again.database.counts, found.database.counts)
    with pytest.raises(SemrsmError, match=r"dataset.n_database=4, but cityscapes holds 3 images"):
        searched(root, n_database=4)


def test_a_split_of_another_set_is_refused(root, tmp_path):
    (tmp_path / "split.csv").write_text("role,image\nquery,a.png\ndatabase,b.png\n")
    with pytest.raises(SemrsmError, match=r"the split names 2 images that cityscapes lacks, the first is a\.png"):
        searched(root, split_file=tmp_path / "split.csv")


def test_the_root_may_stand_in_cityscapes_own_variable(root, monkeypatch):
    monkeypatch.setenv("CITYSCAPES_DATASET", str(root))
    assert len(searched(None).queries) == 2


def test_missing_files_say_which_archive_holds_them(root):
    labels = root / "gtFine/train/ulm/ulm_000003_000021_gtFine_labelIds.png"
    labels.unlink()
    with pytest.raises(SemrsmError, match=r"000021_gtFine_labelIds\.png is missing; unpack gtFine_trainvaltest\.zip"):
        searched(root)
    Image.new("RGB", (16, 8)).save(labels)
    with pytest.raises(SemrsmError, match=r"labelIds\.png holds RGB colours, not label ids"):
        searched(root)
    labels.write_text("no picture")
    with pytest.raises(SemrsmError, match=r"labelIds\.png is no image"):
        searched(root)
    (root / "leftImg8bit/val").rename(root / "leftImg8bit/valid")
    with pytest.raises(SemrsmError, match=r"leftImg8bit/val does not exist; unpack leftImg8bit_trainvaltest\.zip"):
        searched(root)


def test_pictures_alone_need_no_labels(root):
    for labels in root.glob("gtFine/*/*/*_labelIds.png"):
        labels.unlink()
    images = Cityscapes(root=str(root)).images(Path())
    assert [image_id.split("/")[1] for image_id in images.ids] == ["val", "val", "train", "train", "train"]
    assert images.groups == ("frankfurt", "munster", "aachen", "aachen", "ulm")
    (root / images.ids[3]).write_bytes(b"")
    assert Cityscapes(root=str(root), on_error=OnError.skip).images(Path()).skipped == (images.ids[3],)


def test_broken_pictures_are_left_out_when_asked_for(root):
    (root / "leftImg8bit/train/aachen/aachen_000003_000005_leftImg8bit.png").write_bytes(b"")
    found = searched(root, on_error=OnError.skip)
    assert len(found.database) == len(found.database.counts) == 2
    assert len(found.database.images.skipped) == 1


def test_a_split_may_name_images_of_either_side(root, tmp_path):
    ids = Cityscapes(root=str(root)).images(Path()).ids
    write_split(tmp_path / "split.csv", RetrievalSplit(queries=(ids[4], ids[0]), database=(ids[1], ids[4])))
    found = searched(root, split_file=tmp_path / "split.csv")
    assert found.queries.images.ids == (ids[4], ids[0])
    assert found.queries.videos == ("ulm_000003", "frankfurt_000003")
    assert [found.queries.objects(i) for i in range(2)] == [{"train": 1}, {"road": 1}]
    assert found.database.objects(1) == {"train": 1}


def test_a_class_needs_a_pixel():
    with pytest.raises(ValueError, match=r"^min_pixels must be at least 1, got 0"):
        Cityscapes(min_pixels=0)
