import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from semrsm_cli.data import Metric, Scenes, SceneSpec, render, scenes
from semrsm_cli.data.annotations import ANNOTATIONS, CONDITIONS, METADATA
from semrsm_cli.data.objects import OBJECTS, cut_out

FEW = Scenes(n_scenes=6, n_videos=3, n_frames=2)
ONE = Scenes(n_scenes=1, n_videos=1, n_frames=1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def few(cache):
    return FEW.labelled_images(cache)


def test_all_scenes_videos_and_frames_are_there(few):
    assert len(few) == 6 * 3 * 2
    assert few.images.name == "scenes"
    assert (len(set(few.scenes)), len(set(few.videos))) == (6, 18)
    assert all(few.conditions)
    assert len({np.asarray(image).tobytes() for image in few.images}) == len(few)


def test_images_are_16_9_and_left_at_their_size(few):
    width, height = few.images[0].size
    assert width * 9 == height * 16
    assert {image.size for image in few.images} == {(width, height)}


def test_a_scene_shows_the_same_objects_in_all_its_videos(few):
    for scene in set(few.scenes):
        rows = [i for i, other in enumerate(few.scenes) if other == scene]
        # at the edge of a moving frame an object may be out of sight
        assert (few.counts[rows].max(axis=0) - few.counts[rows].min(axis=0)).sum() <= 2
        assert 2 <= (few.counts[rows].max(axis=0) > 0).sum() <= 5
    assert 1 <= few.counts.max() <= 2


def test_scenes_differ_and_some_objects_are_there_twice(few):
    assert len({tuple(few.counts[few.scenes.index(scene)]) for scene in set(few.scenes)}) == 6
    assert (few.counts == 2).any()


def test_boxes_lie_on_the_objects(cache, few):
    root = few.images.reader.root
    described = json.loads((root / ANNOTATIONS).read_text())
    size = few.images[0].size
    url = {image["id"]: image["url"] for image in described["images"]}
    assert {instance["image_id"] for instance in described["annotations"]} == set(url)
    for instance in described["annotations"]:
        left, upper, width, height = instance["bbox"]
        assert 0 <= left < left + width <= size[0]
        assert 0 <= upper < upper + height <= size[1]
        assert instance["area"] == width * height
    helmets = [note for note in described["annotations"] if note["category_freeform"] == "helmet"]
    assert helmets
    for helmet in helmets:
        picture = np.asarray(few.images.reader.read(url[helmet["image_id"]])[0])
        left, upper, width, height = helmet["bbox"]
        middle = picture[upper + height // 3 : upper + 2 * height // 3, left + width // 3 : left + 2 * width // 3]
        assert np.median(middle) < np.median(picture) / 2  # its visor is black


def test_names_come_from_the_metadata(few):
    described = json.loads((few.images.reader.root / METADATA).read_text())
    assert [category["name"] for category in described["categories"]] == list(OBJECTS)
    assert set(few.classes) <= set(OBJECTS)


def test_the_seed_decides_and_the_cache_keeps(cache, few, tmp_path, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in few.images.reader.root.rglob("*.jpg")}
    assert FEW.labelled_images(cache).images == few.images
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = ONE.labelled_images(tmp_path)
    monkeypatch.setattr(render, "_SEED", 1)
    other = ONE.labelled_images(tmp_path)
    row = few.images.ids.index(next(i for i in few.images.ids if i.startswith(again.scenes[0])))
    assert again.scenes[0] == few.scenes[row] != other.scenes[0]
    assert not list(tmp_path.glob(".*"))


def test_what_was_interrupted_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "_write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        Scenes(n_scenes=1).images(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_have_been_quicker(tmp_path):
    root = ONE.images(tmp_path).reader.root
    scenes._make(root, ONE)
    assert [path.name for path in tmp_path.iterdir()] == [root.name]
    assert len(ONE.images(tmp_path)) == 1


def test_queries_and_database_share_no_image(cache):
    found = replace(FEW, n_queries=10).retrieval_set(cache, 0)
    assert (len(found.queries), len(found.database)) == (10, 26)
    assert not set(found.split.queries) & set(found.split.database)
    assert found.metric is Metric.count_f1


def test_objects_can_be_told_apart():
    pictures = {
        name: np.asarray(cut_out(name, 40).convert("RGB").resize((8, 8)), dtype=float).ravel() for name in OBJECTS
    }
    for name, other in combinations(OBJECTS, 2):
        assert np.abs(pictures[name] - pictures[other]).mean() > 15, (name, other)
    assert {cut_out(name, 40).mode for name in OBJECTS} == {"RGBA"}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"n_scenes": 0}, "^n_scenes must be at least 1, got 0"),
        ({"n_frames": 0}, "^n_frames must be at least 1, got 0"),
        ({"n_videos": 0}, "^n_videos must be at least 1, got 0"),
        ({"n_videos": len(CONDITIONS) + 1}, "^n_videos can be 10 at most, got 11"),
    ],
)
def test_bad_settings(settings, complaint):
    for kind in (SceneSpec, Scenes):
        with pytest.raises(ValueError, match=complaint):
            kind(**settings)


def test_the_folder_is_called_after_what_the_pictures_depend_on_alone():
    assert SceneSpec().key() == "df4b324c8296576b"  # pictures that are there already are found again
    assert Scenes(n_queries=3, name="other", objects=True).key() == SceneSpec().key() != FEW.key()


def test_objects_are_cut_out_square_and_by_video(cache):
    found = FEW.training_set(cache, 0.2)
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
    assert found.train.images.fingerprint() == FEW.training_set(cache, 0.2).train.images.fingerprint()


def test_the_objects_to_look_at_are_those_to_validate_with(cache):
    images = replace(FEW, objects=True).images(cache)
    assert images.ids == FEW.training_set(cache, 0.2).val.images.ids
