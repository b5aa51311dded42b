import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from semrsm_cli.data import Folder
from semrsm_cli.data.content import Files
from semrsm_cli.data.folders import images_in
from semrsm_cli.data.images import ImageOrder, Images, OnError, Reading, open_image, with_readable
from semrsm_cli.data.places import dataset_root
from semrsm_cli.errors import SemrsmError

RED = (220, 30, 40)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def corner(path: Path) -> tuple[int, ...]:
    image = open_image(path)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_every_mode_becomes_rgb_of_the_same_colour(tmp_path):
    suffixes = {"1": "png", "L": "png", "P": "gif", "RGBA": "png", "CMYK": "tif", "YCbCr": "tif"}
    for mode, suffix in suffixes.items():
        picture = Image.new("RGB", (6, 4), RED).convert(mode)
        expected = picture.convert("RGB").getpixel((0, 0))
        assert np.abs(np.subtract(corner(saved(tmp_path / f"x.{suffix}", picture)), expected)).max() <= 1, mode


def test_cmyk_jpeg_keeps_its_colour(tmp_path):
    path = saved(tmp_path / "x.jpg", Image.new("RGB", (16, 16), RED).convert("CMYK"))
    assert np.abs(np.subtract(corner(path), RED)).max() <= 4


def test_16_bit_grey_is_scaled_by_its_full_range(tmp_path):
    for value, grey in ((0, 0), (257, 1), (32896, 128), (65535, 255)):
        for suffix in (".png", ".tif"):
            path = saved(tmp_path / f"x{suffix}", Image.fromarray(np.full((3, 5), value, np.uint16)))
            assert corner(path) == (grey, grey, grey), (value, suffix)


def test_every_16_bit_value_is_rounded_as_floats_would_be(tmp_path):
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    expected = np.round(values * (255 / 65535)).astype(np.uint8)
    (tmp_path / "x.pgm").write_bytes(b"P5 256 256 65535\n" + values.astype(">u2").tobytes())
    for path in (saved(tmp_path / "x.png", Image.fromarray(values)), tmp_path / "x.pgm"):
        np.testing.assert_array_equal(np.asarray(open_image(path)), np.stack([expected] * 3, axis=-1))


def test_16_bit_pictures_are_never_floats(tmp_path):
    path = saved(tmp_path / "x.png", Image.fromarray(np.zeros((1000, 1000), np.uint16)))
    tracemalloc.start()
    open_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # one array of float64; integers take less


def test_16_bit_pgm_in_mode_i(tmp_path):
    path = tmp_path / "x.pgm"
    path.write_bytes(b"P5 1 1 65535\n" + struct.pack(">H", 32896))
    assert corner(path) == (128, 128, 128)


def test_32_bit_grey_beyond_16_bits_is_refused(tmp_path):
    path = saved(tmp_path / "x.tif", Image.fromarray(np.full((3, 5), 70_000, np.int32)))
    with pytest.raises(SemrsmError, match=r"between 0 and 65535, got 70000 to 70000"):
        open_image(path)


def test_float_grey_runs_from_0_to_1(tmp_path):
    assert corner(saved(tmp_path / "x.tif", Image.fromarray(np.full((3, 5), 0.5, np.float32)))) == (128, 128, 128)
    with pytest.raises(SemrsmError, match=r"between 0 and 1, got nan"):
        open_image(saved(tmp_path / "y.tif", Image.fromarray(np.full((3, 5), np.nan, np.float32))))


def test_transparent_parts_show_white(tmp_path):
    for mode in ("RGBA", "LA"):
        assert corner(saved(tmp_path / "x.png", Image.new(mode, (3, 3)))) == (255, 255, 255), mode


def test_half_transparent_parts_mix_with_white(tmp_path):
    path = saved(tmp_path / "x.png", Image.new("RGBA", (3, 3), (0, 0, 0, 128)))
    assert corner(path) == (127, 127, 127)


def test_palette_with_transparent_colours(tmp_path):
    picture = Image.new("P", (3, 3), 1)
    picture.putpalette([9, 9, 9, *RED])
    assert corner(saved(tmp_path / "bytes.png", picture, transparency=b"\xff\x00")) == (255, 255, 255)
    assert corner(saved(tmp_path / "index.png", picture, transparency=0)) == RED


def test_exif_rotation_is_applied(tmp_path):
    picture = Image.new("RGB", (40, 16), "black")
    picture.paste(RED, (0, 0, 8, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show the picture rotated by 90 degrees clockwise
    image = open_image(saved(tmp_path / "x.jpg", picture, exif=exif, quality=95))
    assert image.size == (16, 40)
    assert np.abs(np.subtract(image.getpixel((8, 2)), RED)).max() <= 6
    assert max(image.getpixel((8, 30))) <= 6


def test_broken_exif_does_not_hide_the_picture(tmp_path):
    path = saved(tmp_path / "x.jpg", Image.new("RGB", (16, 16), RED), exif=b"Exif\0\0not a TIFF header at all")
    assert np.abs(np.subtract(corner(path), RED)).max() <= 4


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path: Path) -> None:
    path.write_text("This is\nno picture.")


def empty(path: Path) -> None:
    path.touch()


def missing(path: Path) -> None:
    pass


def folder_by_that_name(path: Path) -> None:
    path.mkdir()


def complaint_about(path: Path) -> str:
    with pytest.raises(SemrsmError) as raised:
        open_image(path)
    return str(raised.value)


@pytest.mark.parametrize("spoil", [truncated, text, empty, missing, folder_by_that_name])
def test_what_is_no_picture_is_named_on_one_line(tmp_path, spoil):
    for suffix in (".jpg", ".png", ".tif", ".gif", ".webp", ".bmp"):
        path = tmp_path / f"bad{suffix}"
        spoil(path)
        complaint = complaint_about(path)
        assert str(path) in complaint
        assert "\n" not in complaint
        assert "dataset.on_error=skip" in complaint


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as users have it
def test_larger_pictures_than_are_asked_for_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.png", Image.new("RGB", (8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow opens none of more than twice as many
    assert open_image(path, 64).size == (8, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for limit in (63, 20, 1):
        with pytest.raises(SemrsmError, match=rf"pixels, more than dataset.max_pixels={limit}; raise that"):
            open_image(path, limit)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)


def test_every_set_of_files_heeds_the_largest_image(tmp_path):
    saved(tmp_path / "x.png", Image.new("RGB", (8, 8)))
    saved(tmp_path / "y.png", Image.new("RGB", (8, 9)))
    assert len(Folder(root=str(tmp_path), max_pixels=72).images(tmp_path)) == 2
    found = Folder(root=str(tmp_path), max_pixels=71, on_error=OnError.skip).images(tmp_path)
    assert (found.ids, found.skipped) == (("x.png",), ("y.png",))
    with pytest.raises(SemrsmError, match=r"y\.png has 8 x 9 pixels, more than dataset\.max_pixels=71"):
        Folder(root=str(tmp_path), max_pixels=71).images(tmp_path)[1]


def test_a_bomb_of_text_is_refused(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 2 * PngImagePlugin.MAX_TEXT_CHUNK, zip=True)
    path = saved(tmp_path / "x.png", Image.new("RGB", (8, 8)), pnginfo=info)
    with pytest.raises(SemrsmError, match=r"x\.png cannot be read"):
        open_image(path)


@pytest.fixture
def images(tmp_path) -> Images:
    for i in range(5):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / f"{i}.png")
    ids = tuple(f"{i}.png" for i in range(5))
    return Images("five", ids, ids, Files(tmp_path))


def shades(images: Images) -> list[int]:
    return [image.getpixel((0, 0))[0] for image in images]


def test_images_are_read_one_by_one_when_asked_for(images):
    assert len(images) == 5
    assert shades(images) == [0, 1, 2, 3, 4]
    (images.reader.root / "3.png").unlink()
    assert images[-1].getpixel((0, 0))[0] == 4
    with pytest.raises(SemrsmError, match=r"3\.png"):
        images[3]


def test_select_keeps_the_order_asked_for(images):
    chosen = images.select([4, 0])
    assert chosen.ids == ("4.png", "0.png")
    assert shades(chosen) == [4, 0]


def test_draw_is_seeded_without_replacement_and_keeps_its_random_order(images):
    assert images.draw(3, seed=7) == images.draw(3, seed=7)
    assert len({frozenset(images.draw(3, seed=seed).ids) for seed in range(20)}) > 3
    assert len({images.draw(5, seed=seed).ids for seed in range(20)}) > 10
    assert all(sorted(images.draw(5, seed=seed).ids) == list(images.ids) for seed in range(9))
    assert images.draw(None, seed=3) == images.draw(5, seed=3)


def test_a_draw_in_the_order_of_the_files_holds_the_same_images(images):
    for n, seed in ((3, 0), (4, 1), (None, 2)):
        drawn, sorted_ = (images.draw(n, seed, order) for order in ImageOrder)
        assert list(sorted_.ids) == sorted(drawn.ids)
    assert images.draw(None, 0, ImageOrder.files) == images


def test_a_draw_does_not_depend_on_how_the_disk_lists_the_files(images, monkeypatch):
    root = images.reader.root
    expected = images_in("five", root).draw(4, seed=1).ids
    walk = os.walk

    def backwards(*args, **kwargs):
        return ((place, folders[::-1], names[::-1]) for place, folders, names in walk(*args, **kwargs))

    monkeypatch.setattr("os.walk", backwards)
    assert images_in("five", root).draw(4, seed=1).ids == expected


def test_draw_of_more_than_there_are_names_both_numbers(images):
    with pytest.raises(SemrsmError, match="n_images=6, but five holds 5 images; set n_images=5 or less"):
        images.draw(6, seed=0)


def test_ids_differ_and_fit_the_groups(images):
    with pytest.raises(ValueError, match="one length, got 2 and 1"):
        Images("x", ("a", "b"), ("a",), images.reader)
    with pytest.raises(ValueError, match="got 1 different ones among 2"):
        Images("x", ("a", "a"), ("a", "a"), images.reader)


def test_fingerprint_changes_with_files_and_order(images):
    before = images.fingerprint()
    assert images.fingerprint() == before
    assert images.select([1, 0, 2, 3, 4]).fingerprint() != before
    Image.new("RGB", (90, 90)).save(images.reader.root / "2.png")
    assert images.fingerprint() != before


def test_fingerprint_of_a_missing_file_names_it(images):
    (images.reader.root / "2.png").unlink()
    with pytest.raises(SemrsmError, match=r"2\.png cannot be read: No such file"):
        images.fingerprint()


def test_skip_leaves_broken_files_out_and_keeps_their_names(images):
    truncated(images.reader.root / "1.png")
    text(images.reader.root / "3.png")
    kept = with_readable(images, Reading(OnError.skip))
    assert kept.ids == ("0.png", "2.png", "4.png")
    assert kept.skipped == ("1.png", "3.png")
    assert kept.select([0]).skipped == kept.skipped
    assert with_readable(images, Reading(OnError.stop)) is images


def test_skip_leaves_out_whatever_decoders_raise(images, monkeypatch):
    for error in (
        RuntimeError("Failed to decode image"),
        NotImplementedError("Unimplemented pixel format"),
        KeyError(9),
    ):

        def refuse(picture, error=error):
            raise error

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", refuse)
        with pytest.raises(SemrsmError, match="none of the 5 files of five"):
            with_readable(images, Reading(OnError.skip))


def test_skip_that_leaves_nothing_is_an_error(images):
    for path in images.reader.root.iterdir():
        text(path)
    with pytest.raises(SemrsmError, match="none of the 5 files of five"):
        with_readable(images, Reading(OnError.skip))


def test_dataset_root_prefers_the_setting_then_the_variable_then_the_common_root(tmp_path, monkeypatch):
    for name in ("given", "own", "common/cityscapes"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("SEMRSM_DATA", str(tmp_path / "common"))
    monkeypatch.delenv("OWN", raising=False)
    assert dataset_root(None, "cityscapes", "OWN") == tmp_path / "common/cityscapes"
    monkeypatch.setenv("OWN", str(tmp_path / "own"))
    assert dataset_root(None, "cityscapes", "OWN") == tmp_path / "own"
    assert dataset_root(str(tmp_path / "given"), "cityscapes", "OWN") == tmp_path / "given"


def test_dataset_root_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("SEMRSM_DATA", raising=False)
    with pytest.raises(SemrsmError, match=r"dataset\.root=DIR, or SEMRSM_DATA"):
        dataset_root(None, "imagenet")
    with pytest.raises(SemrsmError, match=r"nowhere does not exist; set dataset\.root"):
        dataset_root(tmp_path / "nowhere", "imagenet")
    monkeypatch.setenv("SEMRSM_DATA", str(tmp_path))
    with pytest.raises(SemrsmError, match=r"imagenet does not exist; put imagenet into SEMRSM_DATA"):
        dataset_root(None, "imagenet")
    (tmp_path / "file").touch()
    with pytest.raises(SemrsmError, match="is a file, not a folder"):
        dataset_root(tmp_path / "file", "imagenet")
