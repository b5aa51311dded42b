import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrsm_cli.data import (
    AspectRatio,
    EgoObjects,
    ImageFilter,
    LabelledImages,
    Metric,
    OnError,
    RetrievalSet,
    write_split,
)
from semrsm_cli.data.annotations import ANNOTATIONS, METADATA, group_and_video
from semrsm_cli.data.egoobjects import read_egoobjects
from semrsm_cli.errors import SemrsmError
from tests.data import egoobjects_files as files

SMALL = {"width": 32, "height": 18}


@pytest.fixture
def root(tmp_path):
    return files.write(tmp_path / "egoobjects", files.content())


def write_annotations(root, described):
    (root / ANNOTATIONS).write_text(json.dumps(described))


def labelled(root: Path | None, **settings: Any) -> LabelledImages:
    return EgoObjects(root=root and str(root), **settings).labelled_images(Path())


def searched(root: Path, seed: int = 0, **settings: Any) -> RetrievalSet:
    return EgoObjects(root=str(root), **SMALL, **settings).retrieval_set(Path(), seed)


def test_test_images_of_exactly_16_9_are_taken_sorted_by_name(root):
    found = labelled(root)
    assert len(found) == 27
    assert list(found.images.ids) == sorted(found.images.ids)
    assert found.images.name == "egoobjects"


def test_scene_and_video_come_from_group_and_condition_code(root):
    found = labelled(root)
    row = found.images.ids.index(f"{files.GROUPS[0]}_08_2.jpg")
    assert found.scenes[row] == files.GROUPS[0]
    assert found.videos[row] == f"{files.GROUPS[0]}_08"
    assert found.conditions[row] == "near, horizontal motion, busy background, dim"
    assert (len(set(found.scenes)), len(set(found.videos))) == (3, 9)


def test_instances_are_counted_by_category_id(root):
    found = labelled(root)
    first, second = (found.images.ids.index(f"{files.GROUPS[0]}_01_{frame}.jpg") for frame in (0, 1))
    # the shoe has only `_category_id`, the lamp has none at all, and another lamp is of an unknown image
    assert found.classes == ("spoon", "footwear", "mug")
    assert found.objects(first) == {"mug": 2, "spoon": 1, "footwear": 1}
    assert found.objects(second) == {"mug": 1, "footwear": 1}
    assert found.counts.dtype == np.int64
    assert found.counts.sum() == 27 + 1 + 1 + 1 + 1


def test_names_come_from_the_most_used_text_where_there_is_no_metadata(root):
    (root / METADATA).unlink()
    described = files.content()
    described["annotations"] += [
        files.instance(described["images"][5], files.SHOE, 2000 + i, category_freeform="boot") for i in range(2)
    ]
    described["annotations"].append({"image_id": described["images"][0]["id"], "category_id": 31})
    write_annotations(root, described)
    assert labelled(root).classes == ("spoon", "category 31", "boot", "mug")


def test_two_categories_of_one_name_stay_apart(root):
    described = files.content()
    described["categories"] = [{"id": files.CUP, "name": "cup"}, {"id": files.SPOON, "name": "cup"}]
    write_annotations(root, described)
    (root / METADATA).unlink()
    assert labelled(root).classes == ("cup (7)", "footwear", "cup (359)")


def test_the_filter_says_which_images_are_taken(root):
    for settings, n in (
        ({"aspect_ratio": AspectRatio.one_percent}, 28),
        ({"aspect_ratio": AspectRatio.any}, 30),
        ({"subset": "val"}, 1),
        ({"subset": None}, 29),
        ({"subset": None, "aspect_ratio": AspectRatio.any}, 32),
        ({"official_categories": True}, 2),
    ):
        assert len(labelled(root, **settings)) == n, settings


def test_aspect_ratios_of_real_images():
    for size, exact, one_percent in (
        ((1920, 1080), True, True),
        ((1280, 720), True, True),
        ((3840, 2160), True, True),
        ((852, 480), False, True),
        ((848, 480), False, True),
        ((640, 352), False, False),
        ((1080, 1920), False, False),
        ((1440, 1080), False, False),
    ):
        assert AspectRatio.exact.admits(*size) == exact, size
        assert AspectRatio.one_percent.admits(*size) == one_percent, size
        assert AspectRatio.any.admits(*size), size


def test_official_categories_leave_out_other_objects_and_images_without_any(root):
    found = labelled(root, official_categories=True)
    assert found.classes == ("spoon", "footwear")
    assert found.counts.tolist() == [[1, 1], [0, 1]]


def test_images_are_resized_to_one_size(root):
    ids = labelled(root).images.ids
    assert labelled(root).images[0].size == (1920, 1080)
    assert labelled(root, **SMALL).images[0].size == (32, 18)
    untouched = read_egoobjects("x", root, ImageFilter(aspect_ratio=AspectRatio.any)).images
    assert {untouched[i].size for i in range(len(untouched))} == {(32, 18), (24, 18), (852, 480), (18, 32)}
    assert labelled(root, **SMALL).images.ids == ids
    assert labelled(root, **SMALL).images.fingerprint() != labelled(root).images.fingerprint()


def test_missing_fields_are_read_off_the_file_name_and_unknown_codes_are_no_condition(root):
    described = files.content()
    described["images"] = [
        files.image("AB" * 16, "V1", 4, 1),
        files.image("AB" * 16, "05", 9, 2, group_id=None, video_id=None, frame_id=None),
        files.image("x", "y", 0, 3, url="other name.jpg", group_id=None, video_id=None),
        files.image("AB" * 16, "08", 1, 4, url=f"clips/{'AB' * 16}_08_1.jpg", group_id=None),
    ]
    write_annotations(root, described)
    found = labelled(root)
    assert found.images.ids == (
        *("AB" * 16 + tail for tail in ("_05_9.jpg", "_08_1.jpg", "_V1_4.jpg")),
        "other name.jpg",
    )
    assert found.scenes == ("AB" * 16,) * 3 + ("other name.jpg",)
    assert found.videos == (*("AB" * 16 + tail for tail in ("_05", "_08", "_V1")), "other name.jpg")
    assert found.conditions[2:] == ("", "")


def test_group_and_video_of_a_real_record():
    url = "14522AB113ACAABA0157F6077C37EBA7_05_74.jpg"
    assert group_and_video({"url": url}) == ("14522AB113ACAABA0157F6077C37EBA7", "05")


def test_images_are_found_where_archives_unpack_to(tmp_path):
    for number, folder in enumerate(("images", "data/images", "images/cltest", "images/frames")):
        described = files.content()
        if folder == "images/frames":
            for record in described["images"]:
                record["url"] = f"frames/{record['url']}"
        root = files.write(tmp_path / str(number), described)
        (root / "images").rename(root / "moved")
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / "moved").rename(root / folder)
        found = searched(root, n_queries=3, n_database=9)
        assert found.queries.images[0].size == (32, 18), folder
        assert "/" not in found.queries.images.ids[0], folder


def test_urls_are_the_ids_where_file_names_repeat(root):
    described = files.content()
    described["images"] = [files.image("A", "01", 0, i, url=f"{folder}/1.jpg") for i, folder in enumerate("ab")]
    write_annotations(root, described)
    assert labelled(root).images.ids == ("a/1.jpg", "b/1.jpg")


def test_annotations_may_lie_in_data(tmp_path):
    root = files.write(tmp_path / "x", files.content(), below="data")
    found = searched(root, n_queries=3, n_database=9)
    assert found.queries.images[0].size == (32, 18)
    assert "mug" in found.classes


def test_the_draw_is_seeded_disjoint_and_nested(root):
    first, again, other, larger = (
        searched(root, n_queries=5, n_database=n, seed=seed) for n, seed in ((8, 3), (8, 3), (8, 4), (20, 3))
    )
    assert (len(first.queries), len(first.database)) == (5, 8)
    assert not set(first.split.queries) & set(first.split.database)
    assert first.split == again.split != other.split
    assert larger.split.queries == first.split.queries
    assert larger.split.database[:8] == first.split.database
    assert first.metric is Metric.count_f1
    assert list(larger.split.database) != sorted(larger.split.database)


def test_what_is_known_of_an_image_stays_with_it(root):
    everything = labelled(root, **SMALL)
    row = {image_id: i for i, image_id in enumerate(everything.images.ids)}
    found = searched(root, n_queries=5, n_database=20)
    for side in (found.queries, found.database):
        for i, image_id in enumerate(side.images.ids):
            assert side.objects(i) == everything.objects(row[image_id])
            assert side.videos[i] == everything.videos[row[image_id]]
            assert np.array_equal(side.images[i], everything.images[row[image_id]])


def test_a_split_can_be_used_again(root, tmp_path):
    found = searched(root, n_queries=5, n_database=8, seed=3)
    write_split(tmp_path / "split.csv", found.split)
    again = searched(root, n_queries=1, n_database=1, seed=9, split_file=tmp_path / "split.csv")
    assert again.split == found.split
    with pytest.raises(SemrsmError, match=r"the split names 13 images that egoobjects lacks, the first is"):
        searched(root, subset="val", split_file=tmp_path / "split.csv")


def test_drawn_images_that_are_not_on_the_disk(root):
    found = searched(root, n_queries=5, n_database=8)
    gone = (found.split.queries[1], found.split.database[2], found.split.database[7])
    for name in gone:
        (root / "images" / name).unlink()
    with pytest.raises(SemrsmError) as raised:
        searched(root, n_queries=5, n_database=8)
    assert f"3 of the 13 images drawn are missing, the first is {root / 'images' / gone[0]}" in str(raised.value)
    kept = searched(root, n_queries=5, n_database=8, on_error=OnError.skip)
    assert kept.queries.images.skipped + kept.database.images.skipped == gone
    assert (len(kept.queries), len(kept.database)) == (4, 6)
    assert len(kept.database.videos) == len(kept.database.counts) == 6


@pytest.mark.parametrize(("n_queries", "n_database"), [(20, 8), (28, None), (27, None)])
def test_more_images_than_there_are_or_none(root, n_queries, n_database):
    with pytest.raises(SemrsmError, match=rf"{n_queries} queries and .* but egoobjects holds 27 images"):
        searched(root, n_queries=n_queries, n_database=n_database)


def test_missing_annotations_and_metadata(root, tmp_path, monkeypatch):
    (root / METADATA).unlink()
    with pytest.raises(SemrsmError, match=r"EgoObjectsV1_unified_metadata\.json is neither in .* nor in .*data"):
        labelled(root, official_categories=True)
    (root / ANNOTATIONS).unlink()
    with pytest.raises(SemrsmError, match=r"EgoObjectsV1_unified_eval\.json is neither in"):
        labelled(root)
    monkeypatch.setenv("SEMRSM_DATA", str(tmp_path))
    with pytest.raises(SemrsmError, match=r"unified_eval\.json is neither in .*egoobjects nor"):
        labelled(None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"images": [', "is no complete JSON"),
        ("[]", "holds no list of images"),
        ('{"images": []}', "holds no list of annotations"),
        ('{"images": [{"id": 1, "url": "x.jpg", "width": 3}], "annotations": []}', r"images\[0\] is without 'height'"),
        ('{"images": [], "annotations": []}', "has no image of subset 'test', but no image at all"),
    ],
)
def test_annotations_of_another_kind(root, text, complaint):
    (root / ANNOTATIONS).write_text(text)
    with pytest.raises(SemrsmError, match=complaint) as raised:
        labelled(root)
    assert "\n" not in str(raised.value)


def test_a_filter_that_leaves_nothing_says_what_there_is(root):
    with pytest.raises(SemrsmError, match="no image of subset 'train', but None, test, val"):
        labelled(root, subset="train")
    described = files.content()
    described["images"] = described["images"][-1:]
    write_annotations(root, described)
    with pytest.raises(SemrsmError, match=r"none of the 1 images of subset 'test' in .* is 16:9 \(exact\)"):
        labelled(root)
    described["images"] = files.content()["images"][3:4]
    write_annotations(root, described)
    with pytest.raises(SemrsmError, match="shows no object of the official categories"):
        labelled(root, official_categories=True)


def test_an_image_described_twice(root):
    described = files.content()
    described["images"].append(described["images"][0])
    write_annotations(root, described)
    with pytest.raises(SemrsmError, match="describes 1 images twice"):
        labelled(root)


def test_images_have_a_size():
    for side in ("width", "height"):
        with pytest.raises(ValueError, match=f"^{side} must be at least 1, got 0"):
            EgoObjects(**{side: 0})


def test_the_images_alone_belong_to_their_scenes(root):
    images = EgoObjects(root=str(root), **SMALL).images(Path())
    assert images == labelled(root, **SMALL).images
    assert images.groups == labelled(root).scenes
    (root / "images" / images.ids[3]).write_text("no picture")
    assert EgoObjects(root=str(root), **SMALL, on_error=OnError.skip).images(Path()).skipped == (images.ids[3],)
