"""Pictures are told apart by their bytes, and a run reads those that it began with."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrsm_cli.data import Cityscapes, Folder, Images, Scenes, crop_pairs, resized_squares
from semrsm_cli.data.content import Files, pin, read_cached
from semrsm_cli.data.images import MAX_PIXELS
from semrsm_cli.data.photos import photos
from semrsm_cli.errors import SemrsmError

YEAR_2020 = 1_577_836_800


def picture(path: Path, shade: int) -> None:
    """A picture whose file has one size and one time of change, whatever it shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (shade, 0, 0)).save(path, "BMP")
    os.utime(path, (YEAR_2020, YEAR_2020))


@pytest.fixture
def images(tmp_path: Path) -> Images:
    ids = ("a.png", "b.png", "c.png")
    for i, name in enumerate(ids):
        picture(tmp_path / "here" / name, i)
    return Images("three", ids, ids, Files(tmp_path / "here"))


def root_of(images: Images) -> Path:
    assert isinstance(images.reader, Files)
    return images.reader.root


def swap(root: Path) -> None:
    """Exchange two files of equal size and time of change, as `mv` does."""
    (root / "a.png").rename(root / "x")
    (root / "b.png").rename(root / "a.png")
    (root / "x").rename(root / "b.png")


def test_two_files_of_one_size_and_time_that_change_places_are_noticed(images: Images) -> None:
    before, states = images.fingerprint(), [(root_of(images) / name).stat() for name in images.ids]
    swap(root_of(images))
    after = [(root_of(images) / name).stat() for name in images.ids]
    assert [(s.st_size, s.st_mtime_ns) for s in states] == [(s.st_size, s.st_mtime_ns) for s in after]
    assert images.fingerprint() != before
    swap(root_of(images))
    assert images.fingerprint() == before


def test_neither_place_nor_time_matters(images: Images, tmp_path: Path) -> None:
    before = images.fingerprint()
    shutil.copytree(root_of(images), tmp_path / "there", copy_function=shutil.copyfile)
    moved = Images("three", images.ids, images.groups, Files(tmp_path / "there"))
    assert moved.fingerprint() == before
    os.utime(tmp_path / "there" / "a.png")
    assert moved.fingerprint() == before


def test_moved_data_sets_keep_their_keys(tmp_path: Path) -> None:
    spec = Scenes(n_scenes=2, n_videos=2, n_frames=1)
    scenes = spec.labelled_images(tmp_path).images
    objects = spec.cut_objects(tmp_path).images
    keys = scenes.fingerprint(), objects.fingerprint()
    shutil.copytree(tmp_path, tmp_path / "moved")
    assert spec.labelled_images(tmp_path / "moved").images.fingerprint() == keys[0]
    assert spec.cut_objects(tmp_path / "moved").images.fingerprint() == keys[1]


@pytest.mark.parametrize(
    "cut", [lambda x: x, lambda x: resized_squares(x, 8), lambda x: crop_pairs(x, [[0, 1, 2]], size=8, crop=6)]
)
def test_a_picture_that_changes_after_it_was_pinned_is_an_error(
    images: Images, cut: Callable[[Images], Images]
) -> None:
    pinned = cut(pin(images))
    keys = [pinned.reader.version_key(image_id) for image_id in pinned.ids]
    assert [pinned.reader.read(image_id)[1] for image_id in pinned.ids] == keys
    assert pinned.fingerprint() == cut(images).fingerprint()
    picture(root_of(images) / "b.png", 77)
    assert np.asarray(pinned[0]).any() == np.asarray(cut(images)[0]).any()
    with pytest.raises(SemrsmError, match=r"^the image b\.png was changed while this ran.*run it again") as error:
        pinned[1]
    assert "\n" not in str(error.value)


def test_the_kept_frame_of_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    read = read_cached(maxsize=4)
    picture(tmp_path / "a.png", 1)
    first = read(tmp_path / "a.png")
    assert read(tmp_path / "a.png") is first
    picture(tmp_path / "b.png", 2)
    (tmp_path / "b.png").replace(tmp_path / "a.png")
    again, key = read(tmp_path / "a.png")
    assert again.getpixel((0, 0)) == (2, 0, 0)
    assert key != first[1]
    with pytest.raises(SemrsmError, match=r"nothing\.png cannot be read: No such file"):
        read(tmp_path / "nothing.png")


def test_what_is_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(10 * MAX_PIXELS)
    with pytest.raises(SemrsmError, match=r"sparse\.png has 1,342,177,280 bytes, more than a picture takes"):
        Images("one", ("sparse.png",), ("sparse.png",), Files(tmp_path)).fingerprint()


def test_every_reader_reads_what_its_key_says(tmp_path: Path) -> None:
    picture(tmp_path / "folder" / "x" / "1.png", 3)
    street = tmp_path / "city" / "leftImg8bit"
    for split in ("train", "val"):
        picture(street / split / "ulm" / "ulm_000000_000019_leftImg8bit.png", 5)
    spec = Scenes(n_scenes=2, n_videos=2, n_frames=1)
    sets = [
        photos(regions=1),
        Folder(root=str(tmp_path / "folder")).images(tmp_path),
        Cityscapes(root=str(tmp_path / "city")).labelled_images(tmp_path).images,
        spec.labelled_images(tmp_path).images,
        spec.cut_objects(tmp_path).images,
    ]
    for images in sets:
        for image_id in images.ids:
            assert images.reader.read(image_id)[1] == images.reader.version_key(image_id), (images.name, image_id)
            assert str(tmp_path) not in images.reader.version_key(image_id)
