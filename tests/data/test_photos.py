import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.data import Photos
from semrsm_cli.data.photos import _PHOTOGRAPHS, photos
from semrsm_cli.errors import SemrsmError


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """Shared part of the smaller of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0) * max(height, 0) / smaller


def boxes_by_photograph(images):
    boxes = {group: [] for group in images.groups}
    for image_id, group in zip(images.ids, images.groups, strict=True):
        boxes[group].append(images.reader.boxes[image_id][1])
    return boxes


def test_the_default_has_regions_enough_from_photographs_enough():
    images = photos()
    assert len(images) >= 40
    assert len(set(images.groups)) >= 10
    assert all(image_id.startswith(f"{group}/") for image_id, group in zip(images.ids, images.groups, strict=True))


def test_regions_of_one_photograph_do_not_overlap_by_default():
    for boxes in boxes_by_photograph(photos()).values():
        assert max(overlap(a, b) for a, b in combinations(boxes, 2)) == 0


def test_regions_are_different_squares_inside_the_photograph():
    for regions in (1, 2, 6, 7, 17, 40):
        images = photos(regions=regions)
        assert len(images) == regions * len(_PHOTOGRAPHS), regions
        for (name, extent), boxes in zip(_PHOTOGRAPHS.items(), boxes_by_photograph(images).values(), strict=True):
            assert len(set(boxes)) == regions, (name, regions)
            for left, upper, right, lower in boxes:
                assert right - left == lower - upper >= 112, (name, regions)
                assert left >= extent[0], (name, regions)
                assert upper >= extent[1], (name, regions)
                assert right <= extent[2], (name, regions)
                assert lower <= extent[3], (name, regions)


def test_many_regions_still_differ_for_the_most_part():
    for boxes in boxes_by_photograph(photos(regions=17)).values():
        assert max(overlap(a, b) for a, b in combinations(boxes, 2)) <= 0.7


def test_every_region_shows_something():
    images = photos()
    pictures = [np.asarray(images[i]) for i in range(len(images))]
    assert all(picture.shape[0] == picture.shape[1] and picture.shape[2] == 3 for picture in pictures)
    assert min(picture.std() for picture in pictures) > 8
    assert len({picture.tobytes() for picture in pictures}) == len(images)


def test_the_seed_decides_the_layout():
    assert photos(seed=1) == photos(seed=1)
    assert photos(seed=1).fingerprint() != photos(seed=2).fingerprint()


def test_loader_processes_can_hold_them():
    images = photos(regions=1)
    assert np.array_equal(pickle.loads(pickle.dumps(images))[0], images[0])


def test_a_photograph_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(_PHOTOGRAPHS, "unknown.png", (0, 0, 200, 200))
    with pytest.raises(SemrsmError, match=r"comes without data/unknown\.png"):
        photos()


@pytest.mark.parametrize("setting", [{"regions": 0}, {"size": 0}, {"size": 301}])
def test_bad_settings(setting):
    with pytest.raises(ValueError, match="regions must be at least 1 and size 1 to 300"):
        photos(**setting)


def test_the_settings_say_how_many_regions_there_are():
    assert Photos(regions=2).images(Path()) == photos(regions=2)
    with pytest.raises(ValueError, match=r"^regions must be at least 1, got 0"):
        Photos(regions=0)
