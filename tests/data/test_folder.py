from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from semrsm_cli.data import Folder, ImageOrder, Metric, OnError, RetrievalSet
from semrsm_cli.errors import SemrsmError
from tests.data.pictures import picture

TABLE = """image,group,class,count
a.png,kitchen,cup,2
a.png,kitchen,spoon,
./sub/b.png,kitchen,cup,1
sub/c.png,,,
d.png,garden,tree,3
d.png,garden,tree,1
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "mine"
    for name in ("a.png", "sub/b.png", "sub/c.png", "d.png"):
        picture(root / name)
    return root


def searched(root: Path, labels: Path | None = None, seed: int = 0, **settings: Any) -> RetrievalSet:
    dataset = Folder(root=str(root), labels=labels and str(labels), **settings)
    return dataset.retrieval_set(Path(), seed, ImageOrder.files)


def table(root, text):
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_without_labels_every_image_is_looked_for_among_all_and_nothing_is_scored(root):
    found = searched(root)
    assert found.queries.images.ids == found.database.images.ids == ("a.png", "d.png", "sub/b.png", "sub/c.png")
    assert found.queries.videos == found.queries.images.ids
    assert found.metric is None
    assert found.queries.counts is None
    assert found.queries.objects(0) == {}


def test_labels_are_counted_and_groups_kept(root):
    found = searched(root, table(root, TABLE))
    assert found.classes == ("cup", "spoon", "tree")
    assert found.queries.counts.tolist() == [[2, 1, 0], [0, 0, 4], [1, 0, 0], [0, 0, 0]]
    assert found.queries.videos == ("kitchen", "garden", "kitchen", "sub/c.png")
    assert found.queries.scenes == found.queries.videos
    assert found.metric is Metric.count_f1
    assert searched(root, table(root, TABLE), metric=Metric.presence_iou).metric is Metric.presence_iou


def test_two_columns_are_enough(root):
    text = "class,image\ncup,a.png\ncup,a.png\n,d.png\ntree,sub/b.png\ntree,sub/c.png\n"
    found = searched(root, table(root, text))
    assert found.queries.objects(0) == {"cup": 2}
    assert found.queries.videos == found.queries.images.ids


def test_a_draw_separates_queries_and_database(root):
    found = searched(root, table(root, TABLE), n_queries=1)
    assert (len(found.queries), len(found.database)) == (1, 3)
    assert len(found.database.counts) == 3
    found = searched(root, table(root, TABLE), n_database=1)
    assert (len(found.queries), len(found.database)) == (3, 1)
    with pytest.raises(SemrsmError, match=r"4 queries and some database images are asked for, .* holds 4 images"):
        searched(root, n_queries=4)


def test_skipped_files_may_be_described(root):
    (root / "d.png").write_text("no picture")
    found = searched(root, table(root, TABLE), on_error=OnError.skip)
    assert found.queries.images.skipped == ("d.png",)
    assert len(found.queries) == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("image,group\na.png,x\n", r"labels\.csv lacks the column 'class'; its first line must name image, class"),
        ("", r"lacks the column 'image'"),
        (TABLE + "e.png,,cup,1\n", r"describes 1 images that the folder lacks, the first is e\.png"),
        (TABLE.replace("sub/c.png,,,\n", ""), r"says nothing of 1 of 4 images, the first is sub/c\.png; add a line"),
        (TABLE + "d.png,house,cup,1\n", r"line 8: d\.png is of group house here, and of garden above"),
        (TABLE + "d.png,garden,cup,-1\n", r"line 8: count must be a whole number from 0 on, got '-1'"),
        (TABLE + "d.png,garden,cup,two\n", r"line 8: count must be a whole number from 0 on, got 'two'"),
    ],
)
def test_tables_that_do_not_fit(root, text, complaint):
    with pytest.raises(SemrsmError, match=complaint):
        searched(root, table(root, text))


def test_a_table_that_cannot_be_read(root):
    with pytest.raises(SemrsmError, match=r"none\.csv cannot be read as CSV: No such file or directory"):
        searched(root, root / "none.csv")
    (root / "labels.csv").write_bytes(b"image,class\na.png,K\xfcche\n")
    with pytest.raises(SemrsmError, match=r"labels\.csv cannot be read as CSV: .*utf-8"):
        searched(root, root / "labels.csv")


def test_class_folders_are_the_classes_to_train_on(tmp_path):
    for name in ("cat", "dog"):
        for i in range(5):
            picture(tmp_path / name / "deeper" / f"{i}.png")
    found = Folder(root=str(tmp_path)).training_set(Path(), 0.4)
    assert found.train.classes == ("cat", "dog")
    assert Counter(found.train.labels.tolist()) == {0: 3, 1: 3}
    assert found.val.images.ids[0] == "cat/deeper/3.png"
    picture(tmp_path / "loose.png")
    with pytest.raises(SemrsmError, match=r"1 images outside of class folders, the first is loose.png"):
        Folder(root=str(tmp_path)).training_set(Path(), 0.4)


def test_folders_of_splits_are_the_parts_to_train_and_to_validate_with(tmp_path):
    for split, n in (("train", 3), ("val", 1)):
        for name in ("cat", "dog"):
            for i in range(n):
                picture(tmp_path / split / name / f"{i}.png")
    found = Folder(root=str(tmp_path)).training_set(Path(), 0.4)
    assert (len(found.train), len(found.val)) == (6, 2)
    picture(tmp_path / "val" / "owl" / "0.png")
    with pytest.raises(
        SemrsmError, match="2 classes to train on and 3 to validate with, the first that differs is owl"
    ):
        Folder(root=str(tmp_path)).training_set(Path(), 0.4)


def test_training_needs_a_folder():
    with pytest.raises(SemrsmError, match=r"no folder of images is given; set dataset\.root=DIR"):
        Folder().training_set(Path(), 0.2)
