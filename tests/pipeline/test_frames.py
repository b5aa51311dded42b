"""What a run tells of its pictures: how much of them the network sees, and how many EXIF turned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrsm_cli.data import Images, resized_squares
from semrsm_cli.data.folders import images_in
from semrsm_cli.data.headers import Header
from semrsm_cli.models import Network, load
from semrsm_cli.pipeline import frames
from semrsm_cli.pipeline.frames import log_unseen, note_share_seen
from semrsm_cli.pipeline.images import count_turned, note_images
from semrsm_cli.report.folder import RunFolder

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def network() -> Network:
    return load("timm", "tf_efficientnet_lite0")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", command=[])


@dataclass(frozen=True)
class OfSizes:
    """Says of each picture the size that its id begins with, and never gives one."""

    def read(self, image_id: str) -> Image.Image:
        pytest.fail("a picture was decoded")

    def version_key(self, image_id: str) -> str:
        return image_id

    def header(self, image_id: str) -> Header:
        width, height, _ = map(int, image_id.split("/"))
        return Header(width, height)


def of_sizes(*sizes: tuple[int, int]) -> Images:
    ids = tuple(f"{width}/{height}/{i}" for i, (width, height) in enumerate(sizes))
    return Images("sizes", ids, ids, OfSizes())


def test_the_least_and_the_mean_share_are_told(network: Network, run: RunFolder, capsys) -> None:
    one, other = of_sizes((100, 100), (100, 100)), of_sizes((192, 108), (200, 400))
    seen = note_share_seen(run, network, one, other)
    assert run.facts["share_seen"]["least"] == pytest.approx(0.5, abs=0.01)
    assert run.facts["share_seen"]["mean"] == pytest.approx((2 + 9 / 16 + 0.5) / 4, abs=0.01)
    log_unseen("CLIP", seen)
    line = "CLIP sees 50 % of a 200 x 400 frame; model.framing=squash or pad shows it the whole\n"
    assert capsys.readouterr().err == line
    log_unseen("CLIP", note_share_seen(run, network, one))
    assert capsys.readouterr().err == ""


def test_many_sizes_are_looked_at_by_their_shape(
    network: Network, run: RunFolder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(int(w), int(h)) for w, h in rng.integers(80, 160, (200, 2))]
    by_shape = note_share_seen(run, network, of_sizes(*sizes))
    monkeypatch.setattr(frames, "_MAX_SIZES", 1000)
    by_size = note_share_seen(run, network, of_sizes(*sizes))
    assert by_shape.mean == pytest.approx(by_size.mean, abs=0.01)
    assert by_shape.least == pytest.approx(by_size.least, abs=0.02)
    assert by_size.mean == pytest.approx(np.mean([min(size) / max(size) for size in sizes]), abs=0.01)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_files_that_exif_turns_are_counted_and_their_size_is_that_shown(
    tmp_path: Path, run: RunFolder, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for orientation in (None, *range(1, 9)):
        exif = Image.Exif()
        if orientation:
            exif[ORIENTATION] = orientation
        Image.new("RGB", (20, 10)).save(tmp_path / f"{orientation}.{suffix}", exif=exif)
    images = images_in("turned", tmp_path)
    assert [(header.width, header.height) for header in images.headers] == [image.size for image in images]
    monkeypatch.setattr("semrsm_cli.data.images._to_rgb", lambda _: pytest.fail("a picture was decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("a picture was decoded"))
    again = images_in("turned", tmp_path)
    assert [header.is_turned for header in again.headers] == [i in range(2, 9) for i in (*range(1, 9), 0)]
    note_images(run, again)
    assert run.facts["images_turned"] == 7
    assert count_turned(again, again) == 7
    assert count_turned(again.select([0, 1]), again.select([2])) == 2
    assert count_turned(resized_squares(again, 5)) == 7


def test_a_broken_exif_turns_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=b"Exif\0\0not a TIFF header at all")
    assert images_in("broken", tmp_path).headers == (Header(20, 10),)
