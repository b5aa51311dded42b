import json
from importlib import import_module

import numpy as np
import pytest

from semrsm_cli.data.egoobjects import ANNOTATIONS, CONDITIONS, METADATA
from semrsm_cli.data.objects import OBJECTS, cut_out
from semrsm_cli.data.retrieval import Metric
from semrsm_cli.data.scenes import Filming, scenes, scenes_images

module = import_module("semrsm_cli.data.scenes")  # the package shows the function of that name

FEW = Filming(n_scenes=6, n_videos=3, n_frames=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def few(cache):
    return scenes_images(cache, FEW)


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
        picture = np.asarray(few.images.reader.read(url[helmet["image_id"]]))
        left, upper, width, height = helmet["bbox"]
        middle = picture[upper + height // 3 : upper + 2 * height // 3, left + width // 3 : left + 2 * width // 3]
        assert np.median(middle) < np.median(picture) / 2  # its visor is black


def test_names_come_from_the_metadata(few):
    described = json.loads((few.images.reader.root / METADATA).read_text())
    assert [category["name"] for category in described["categories"]] == list(OBJECTS)
    assert set(few.classes) <= set(OBJECTS)


def test_the_seed_decides_and_the_cache_keeps(cache, few, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in few.images.reader.root.rglob("*.jpg")}
    assert scenes_images(cache, FEW).images == few.images
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again, other = (scenes_images(tmp_path, Filming(n_scenes=1, n_videos=1, n_frames=1, seed=seed)) for seed in (0, 1))
    row = few.images.ids.index(next(i for i in few.images.ids if i.startswith(again.scenes[0])))
    assert again.scenes[0] == few.scenes[row] != other.scenes[0]
    assert not list(tmp_path.glob(".*"))


def test_what_was_interrupted_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        scenes_images(tmp_path, Filming(n_scenes=1))
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_have_been_quicker(tmp_path):
    filming = Filming(n_scenes=1, n_videos=1, n_frames=1)
    root = scenes_images(tmp_path, filming).images.reader.root
    module.make(root, filming)
    assert [path.name for path in tmp_path.iterdir()] == [root.name]
    assert len(scenes_images(tmp_path, filming)) == 1


def test_queries_and_database_share_no_image(cache):
    found = scenes(cache, FEW, n_queries=10)
    assert (len(found.queries), len(found.database)) == (10, 26)
    assert not set(found.draw.queries) & set(found.draw.database)
    assert found.metric is Metric.count_f1


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_can_be_told_apart(name):
    own = [np.asarray(cut_out(name, 40).convert("RGB").resize((8, 8)), dtype=float)]
    others = [
        np.asarray(cut_out(other, 40).convert("RGB").resize((8, 8)), dtype=float) for other in OBJECTS if other != name
    ]
    assert min(np.abs(own[0] - other).mean() for other in others) > 15
    assert cut_out(name, 40).mode == "RGBA"


@pytest.mark.parametrize("setting", [{"n_scenes": 0}, {"n_frames": 0}, {"n_videos": len(CONDITIONS) + 1}])
def test_bad_settings(setting):
    with pytest.raises(ValueError, match="must be at least 1, and n_videos at most 10"):
        Filming(**setting)
