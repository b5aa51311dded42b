import os
from pathlib import Path
from typing import Any

import pytest

from semrsm_cli.data import Folder, Images, OnError
from semrsm_cli.data.folders import split_aliases
from semrsm_cli.errors import SemrsmError
from tests.data.pictures import picture


def folder(root: Path | None, **settings: Any) -> Images:
    return Folder(root=root and str(root), **settings).images(Path())


def test_images_are_found_in_all_subfolders_and_sorted(tmp_path):
    for name in ("b.JPG", "a/z.png", "a/deep/er/x.TiFF", "B/y.webp", "a.bmp"):
        picture(tmp_path / name)
    images = folder(tmp_path)
    assert images.ids == ("B/y.webp", "a.bmp", "a/deep/er/x.TiFF", "a/z.png", "b.JPG")
    assert images.groups == images.ids
    assert [image.size for image in images] == [(8, 8)] * 5


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path):
    for name in (".hidden.png", "._x.png", ".thumbnails/x.png", "__MACOSX/x.png", "x.png"):
        picture(tmp_path / name)
    for name in ("Thumbs.db", "labels.csv", "png"):
        (tmp_path / name).touch()
    assert folder(tmp_path).ids == ("x.png",)


def test_links_are_followed_and_circles_end(tmp_path):
    picture(tmp_path / "elsewhere/x.png")
    root = tmp_path / "root"
    picture(root / "y.png")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "link" / "circle").symlink_to(root)
    assert folder(root).ids == ("link/x.png", "y.png")


def test_pipes_are_passed_over(tmp_path):
    picture(tmp_path / "x.png")
    os.mkfifo(tmp_path / "y.png")
    assert folder(tmp_path).ids == ("x.png",)


def test_names_that_no_table_can_hold(tmp_path):
    try:
        picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")))
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    with pytest.raises(SemrsmError, match=r"1 names of images in .* are no UTF-8, the first is b'\\xff\.png'; rename"):
        folder(tmp_path)


def test_broken_files_are_named_or_skipped_and_counted(tmp_path):
    picture(tmp_path / "x.png")
    (tmp_path / "y.jpg").write_text("no picture")
    with pytest.raises(SemrsmError, match=r"y\.jpg is no image"):
        folder(tmp_path)[1]
    images = folder(tmp_path, on_error=OnError.skip)
    assert images.ids == ("x.png",)
    assert images.skipped == ("y.jpg",)


def test_a_folder_that_is_missing_a_file_or_empty_says_what_to_do(tmp_path):
    with pytest.raises(SemrsmError, match=r"set dataset\.root=DIR"):
        folder(None)
    with pytest.raises(SemrsmError, match=r"none does not exist; set dataset\.root"):
        folder(tmp_path / "none")
    with pytest.raises(SemrsmError, match=r"x\.png is a file, not a folder"):
        folder(picture(tmp_path / "a" / "x.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SemrsmError, match=r"it holds no files; images end in bmp, gif, .* webp"):
        folder(tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(SemrsmError, match=r"none of its 1 files ends in bmp"):
        folder(tmp_path / "empty")


def test_a_split_goes_by_several_names():
    assert split_aliases("val") == ("val", "validation", "valid")
    assert split_aliases("training") == ("training", "train")
    assert split_aliases("other") == ("other",)
