from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.data import ClassifiedImages, Images, LabelledImages, Metric, RetrievalSplit
from semrsm_cli.data.content import Files
from semrsm_cli.data.images import ImageOrder
from semrsm_cli.data.split import draw_split, make_retrieval_set, read_split, split_validation, write_split
from semrsm_cli.errors import SemrsmError


def made(n: int) -> Images:
    ids = tuple(f"{i:04d}" for i in range(n))
    return Images("made", ids, ids, Files(Path()))


def draw(
    images: Images,
    n_queries: int | None,
    n_database: int | None,
    seed: int,
    order: ImageOrder = ImageOrder.drawn,
) -> RetrievalSplit:
    return draw_split(images, images, n_queries=n_queries, n_database=n_database, seed=seed, order=order)


@given(
    n=st.integers(2, 40), n_queries=st.none() | st.integers(1, 40), n_database=st.none() | st.integers(1, 40),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_draws_are_disjoint_and_of_the_size_asked_for(n, n_queries, n_database, seed):
    images = made(n)
    if (n_queries or 1) + (n_database or 1) > n and (n_queries, n_database) != (None, None):
        with pytest.raises(SemrsmError, match=f"but made holds {n} images"):
            draw(images, n_queries, n_database, seed)
        return
    found = draw(images, n_queries, n_database, seed)
    assert found == draw(images, n_queries, n_database, seed)
    by_file = draw(images, n_queries, n_database, seed, ImageOrder.files)
    assert (list(by_file.queries), list(by_file.database)) == (sorted(found.queries), sorted(found.database))
    if n_queries is None and n_database is None:
        assert found.queries == found.database
        assert set(found.queries) == set(images.ids)
        return
    assert not set(found.queries) & set(found.database)
    assert len(found.queries) == (n_queries or n - n_database)
    assert len(found.database) == (n_database or n - n_queries)


def test_the_order_is_that_of_the_draw_and_not_of_the_files():
    images = made(40)
    for numbers in ((20, 20), (20, None), (None, 20), (None, None)):
        found = draw(images, *numbers, 0)
        assert list(found.queries) != sorted(found.queries), numbers
        assert list(found.database) != sorted(found.database), numbers
        assert found != draw(images, *numbers, 1), numbers


@given(n_queries=st.integers(1, 20), n_database=st.integers(1, 19), seed=st.integers(0, 9))
def test_queries_do_not_depend_on_the_database_and_a_larger_one_begins_with_a_smaller(n_queries, n_database, seed):
    small, large = (draw(made(40), n_queries, n, seed) for n in (n_database, n_database + 1))
    assert small.queries == large.queries
    assert small.database == large.database[:-1]


def test_written_ids_are_read_again(tmp_path):
    split = RetrievalSplit(("a,b.jpg", "ü/c.jpg"), ('"d".jpg', "e.jpg"))
    write_split(tmp_path / "split.csv", split)
    assert read_split(str(tmp_path / "split.csv")) == split
    assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]
    assert (tmp_path / "split.csv").read_text().splitlines()[0] == "role,image"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.jpg\nb.jpg\n", "lacks the column 'role'"),
        ("role,image\nquery,a\n", "names no image of role database"),
        ("role,image\nquery,a\nquery,a\ndatabase,b\n", "names 1 images of role query twice"),
        ("role,image\nQUERY,a\n", "line 2: role must be query or database, got 'QUERY'"),
    ],
)
def test_files_of_another_kind(tmp_path, text, complaint):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(SemrsmError, match=complaint):
        read_split(tmp_path / "split.csv")


def test_each_side_may_be_drawn_from_images_of_its_own():
    images = made(9)
    queries, database = images.select(range(4)), images.select(range(4, 9))
    everything = draw_split(queries, database, n_queries=None, n_database=None, seed=0)
    assert everything == RetrievalSplit(queries.draw(None, 0).ids, database.draw(None, 0).ids)
    assert everything.database != database.ids
    of_files = draw_split(queries, database, n_queries=None, n_database=None, seed=0, order=ImageOrder.files)
    assert of_files == RetrievalSplit(queries.ids, database.ids)
    some = draw_split(queries, database, n_queries=2, n_database=3, seed=5)
    assert some == RetrievalSplit(queries.draw(2, 5).ids, database.draw(3, 5).ids)
    with pytest.raises(
        SemrsmError, match=r"dataset.n_database=6, but made holds 5 images; set dataset.n_database=5 or less"
    ):
        draw_split(queries, database, n_queries=None, n_database=6, seed=0)


def labelled(n: int, counts: np.ndarray | None) -> LabelledImages:
    images = made(n)
    return LabelledImages(images, ("a",), counts, images.ids, ("",) * n)


def test_a_retrieval_set_is_completed_side_by_side_and_scored_if_anything_is_known():
    split = RetrievalSplit(("0002", "0000"), ("0001",))
    counts = np.arange(3)[:, None]
    found = make_retrieval_set(labelled(3, counts), split, Metric.count_f1)
    assert (found.split, found.metric, found.name) == (split, Metric.count_f1, "made")
    assert found.queries.counts.tolist() == [[2], [0]]
    assert make_retrieval_set(labelled(3, None), split, Metric.count_f1).metric is None
    sides = []
    make_retrieval_set(labelled(3, None), split, Metric.count_f1, lambda side: sides.append(side.images.ids) or side)
    assert sides == [("0002", "0000"), ("0001",)]
    with pytest.raises(SemrsmError, match=r"the split names 1 images that made lacks, the first is 0002; draw anew"):
        make_retrieval_set(labelled(2, None), split, Metric.count_f1)


def classified(groups: list[str], labels: list[int]) -> ClassifiedImages:
    ids = tuple(str(i) for i in range(len(groups)))
    classes = tuple("abcdef"[: max(labels) + 1])
    return ClassifiedImages(Images("set", ids, tuple(groups), Files(Path())), classes, np.array(labels))


def test_the_last_groups_of_every_class_are_for_validation():
    found = split_validation(classified(["p", "p", "q", "r", "s", "s", "t"], [0, 0, 0, 0, 1, 1, 1]), 0.2)
    assert found.train.images.ids == ("0", "1", "2", "4", "5")
    assert found.val.images.ids == ("3", "6")
    assert found.val.labels.tolist() == [0, 1]


def test_the_fraction_for_validation():
    groups = [str(i) for i in range(100)]
    assert len(split_validation(classified(groups, [0, 1] * 50), 0.2).val) == 20


def test_a_class_of_one_image_cannot_be_shared():
    with pytest.raises(SemrsmError, match="one image of class b"):
        split_validation(classified(["p", "q", "r"], [0, 0, 1]), 0.2)
