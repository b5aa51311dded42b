from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from semrsm_cli.data.content import Files
from semrsm_cli.data.crops import batches_of_unrelated, crop_pairs, overlapping_crops, resized_squares
from semrsm_cli.data.images import Images
from semrsm_cli.data.photos import photos
from semrsm_cli.errors import SemrsmError


def test_crops_share_the_rows_of_the_paper():
    for size, crop, shared in ((84, 64, 44), (324, 224, 124)):
        upper, lower = (np.asarray(part) for part in overlapping_crops(photos()[0], size=size, crop=crop))
        assert upper.shape == lower.shape == (crop, crop, 3)
        assert np.array_equal(upper[-shared:], lower[:shared]), size
        assert not np.array_equal(upper, lower), size


def test_the_shift_of_figure_7_is_no_multiple_of_a_patch():
    assert (324 - 224) % 16 != 0


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (100, 100), (101, 99)])
def test_the_middle_square_is_kept_without_distortion(size):
    image = Image.new("RGB", size, "black")
    left, upper = (size[0] - 20) // 2, (size[1] - 20) // 2
    image.paste((255, 255, 255), (left, upper, left + 20, upper + 20))
    square = np.asarray(overlapping_crops(image, size=50, crop=50)[0])[:, :, 0] > 127
    assert square.shape == (50, 50)
    rows, columns = (np.flatnonzero(square.any(axis=axis)) for axis in (1, 0))
    assert abs(len(rows) - 10) <= 1
    assert abs(len(columns) - 10) <= 1
    assert abs(rows.mean() - 24.5) <= 1
    assert abs(columns.mean() - 24.5) <= 1


def test_shrinking_is_antialiased():
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (400, 200))).convert("RGB")
    square = np.asarray(overlapping_crops(stripes, size=40, crop=40)[0])
    assert np.ptp(square) <= 40
    assert abs(square.mean() - 127.5) <= 2


@pytest.mark.parametrize("crop", [0, 65])
def test_a_crop_that_does_not_fit_names_both_sides(crop):
    with pytest.raises(ValueError, match=f"got crop {crop} and size 64"):
        overlapping_crops(photos()[0], size=64, crop=crop)


def test_crop_pairs_lists_each_batch_upper_crops_first():
    images = photos(regions=1)
    crops = crop_pairs(images, [[3, 1], [3, 0]], size=84, crop=64)
    first, second, third = images.ids[3], images.ids[1], images.ids[0]
    assert crops.ids == (
        *(f"0/upper/{first}", f"0/upper/{second}", f"0/lower/{first}", f"0/lower/{second}"),
        *(f"1/upper/{first}", f"1/upper/{third}", f"1/lower/{first}", f"1/lower/{third}"),
    )
    assert crops.groups[:4] == tuple(images.groups[i] for i in (3, 1, 3, 1))
    upper, lower = overlapping_crops(images[1], size=84, crop=64)
    assert (crops[1], crops[3]) == (upper, lower)
    assert crops.fingerprint() != crop_pairs(images, [[3, 1], [3, 0]], size=84, crop=60).fingerprint()
    with pytest.raises(ValueError, match="got crop 85 and size 84"):
        crop_pairs(images, [[0]], size=84, crop=85)


def test_resized_squares_keep_ids_and_change_the_fingerprint():
    images = photos(regions=1)
    squares = resized_squares(images, 50)
    assert squares.ids == images.ids
    assert squares[2].size == (50, 50)
    assert squares[2] == overlapping_crops(images[2], size=50, crop=50)[0]
    assert len({part.fingerprint() for part in (images, squares, resized_squares(images, 60))}) == 3


def grouped(sizes: list[int]) -> Images:
    groups = tuple(f"g{g}" for g, size in enumerate(sizes) for _ in range(size))
    return Images("made", tuple(f"{i}" for i in range(len(groups))), groups, Files(Path()))


@given(sizes=st.lists(st.integers(1, 8), min_size=3, max_size=12), n_batches=st.integers(1, 6), seed=st.integers(0, 99))
def test_batches_hold_different_groups_and_waste_no_image(sizes, n_batches, seed):
    images, n = grouped(sizes), 3
    batches = batches_of_unrelated(images, n_per_batch=n, n_batches=n_batches, seed=seed)
    assert len(batches) == n_batches
    assert all(len({images.groups[i] for i in batch}) == n == len(batch) for batch in batches)
    # at best a group gives one image to each batch, and each of its images once
    possible = min(n * n_batches, sum(min(size, n_batches) for size in sizes))
    assert len({i for batch in batches for i in batch}) == possible


def test_once_used_up_images_come_again_evenly():
    batches = batches_of_unrelated(grouped([2] * 5), n_per_batch=5, n_batches=6, seed=0)
    assert set(Counter(i for batch in batches for i in batch).values()) == {3}


def test_the_seed_decides_the_batches():
    drawn = [batches_of_unrelated(photos(), n_per_batch=10, n_batches=6, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_too_few_groups_name_both_numbers():
    with pytest.raises(SemrsmError, match="takes 10 unrelated images, but made has only 4"):
        batches_of_unrelated(grouped([9] * 4), n_per_batch=10, n_batches=1, seed=0)
