"""`semrsm translate` on the embedded default and on a folder."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semrsm_cli.data.photos import photos
from tests.command import Command, refuse, succeed


def run_folder(task: str) -> Path:
    (folder,) = Path("outputs", task).iterdir()
    return folder


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my photographs"
    (folder / "deeper").mkdir(parents=True)
    images = photos(regions=1)
    for i in range(10):
        images[i].save(folder / ("deeper" if i % 2 else ".") / f"{i}.jpg", quality=95)
    return folder


@pytest.mark.slow
@pytest.mark.drawn
def test_default_separates_what_the_paper_says(semrsm: Command) -> None:
    result = succeed(semrsm("translate"))
    folder = run_folder("translate")
    table = pd.read_csv(folder / "tables" / "separation.csv")
    assert list(table) == [
        *("model", "dataset", "layer", "positions", "channels", "kernel", "invariance"),
        *("overlapping_mean", "unrelated_mean", "auc", "n_overlapping", "n_unrelated", "centering", "size"),
        *("locality", "displacement", "matched_share"),
    ]
    areas = table[table["positions"] >= 16].pivot_table(index="layer", columns="invariance", values="auc")
    assert len(areas) >= 5
    assert (areas["permutation"] >= 0.97).all(), areas
    assert (areas["permutation"] > areas["none"]).all(), areas
    similarities = pd.read_csv(folder / "tables" / "similarities.csv")
    assert len(similarities) == table[["n_overlapping", "n_unrelated"]].to_numpy().sum()
    semantic = np.load(folder / "arrays" / "blocks.0_permutation.npy")
    np.testing.assert_allclose(semantic, semantic.swapaxes(1, 2))
    run = json.loads((folder / "run.json").read_text())
    assert {"network", "image_ids_hash", "seed", "seconds"} <= set(run)
    for suffix in ("png", "pdf"):
        assert (folder / "figures" / f"translation.{suffix}").stat().st_size > 10_000
    assert "blocks.0" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_crops_of_the_first_batch_are_kept_in_the_order_of_its_rsms(semrsm: Command, photo_folder: Path) -> None:
    settings = ("dataset=folder", f"dataset.root={photo_folder}", "n_pairs=3", "n_batches=1", "model.layers=[blocks.3]")
    succeed(semrsm("translate", *settings))
    folder = run_folder("translate")
    crops = pd.read_csv(folder / "tables" / "crops.csv")
    assert crops["part"].tolist() == ["upper"] * 3 + ["lower"] * 3
    assert crops["image"].tolist() == crops["image"].tolist()[:3] * 2
    assert len(crops) == len(np.load(folder / "arrays" / "blocks.3_none.npy")[0])
    with Image.open(folder / crops["file"].iloc[0]) as upper, Image.open(folder / crops["file"].iloc[3]) as lower:
        assert upper.size == lower.size == (64, 64)
        shared = [np.asarray(picture, float) for picture in (upper, lower)]
    np.testing.assert_allclose(shared[0][20:], shared[1][:-20], atol=48)  # what both crops show, but for JPEG
    assert np.abs(shared[0][20:] - shared[1][:-20]).mean() < 6


@pytest.mark.slow
@pytest.mark.drawn
def test_same_command_gives_the_same_bytes(semrsm: Command) -> None:
    for name in ("first", "second"):
        succeed(semrsm("translate", "n_batches=1", "model.layers=[blocks.3]", f"hydra.run.dir={name}"))
    for file in Path("first").rglob("*.*"):
        if file.name != "run.json":
            twin = Path("second") / file.relative_to("first")
            assert file.read_bytes() == twin.read_bytes(), file


def test_any_folder_of_ten_photographs(semrsm: Command, photo_folder: Path) -> None:
    result = succeed(semrsm("translate", "dataset=folder", f"dataset.root={photo_folder}", "model.layers=[blocks.4]"))
    assert "has images for 1 batches, not n_batches=6" in result.stderr
    table = pd.read_csv(run_folder("translate") / "tables" / "separation.csv").set_index("invariance")
    assert table.loc["permutation", "auc"] > table.loc["none", "auc"]
    assert table.loc["permutation", ["n_overlapping", "n_unrelated"]].tolist() == [10, 180]


def test_too_few_photographs_name_both_numbers(semrsm: Command, photo_folder: Path) -> None:
    next(photo_folder.glob("*.jpg")).unlink()
    complaint = "takes 10 unrelated images, but folder has only 9"
    refuse(semrsm, "translate", "dataset=folder", f"dataset.root={photo_folder}", complaint=complaint, exit_code=1)


def test_broken_file_is_named_or_skipped_and_counted(semrsm: Command, photo_folder: Path) -> None:
    (photo_folder / "notes.jpg").write_text("not a picture")
    arguments = ("translate", "dataset=folder", f"dataset.root={photo_folder}", "model.layers=[blocks.4]", "n_pairs=11")
    result = semrsm(*arguments)
    assert result.exit_code == 1
    assert "notes.jpg is no image; remove it, or set dataset.on_error=skip" in result.stderr
    assert not Path("outputs").exists()
    result = succeed(semrsm(*arguments[:-1], "dataset.on_error=skip"))
    assert "skipped 1 unreadable images, the first is notes.jpg" in result.stderr
    assert json.loads((run_folder("translate") / "run.json").read_text())["images_skipped"] == 1


def test_all_broken_files_are_named_at_once(semrsm: Command, photo_folder: Path) -> None:
    for i in range(12):
        (photo_folder / f"broken_{i:02}.jpg").write_text("not a picture")
    whole = next(photo_folder.glob("[!b]*.jpg"))
    whole.write_bytes(whole.read_bytes()[:-1000])  # its header can be read
    arguments = ("retrieve", "dataset=folder", f"dataset.root={photo_folder}", "dataset.name=mine")
    said = refuse(semrsm, *arguments, complaint="13 images of mine cannot be read: ", exit_code=1)
    assert all(f"broken_{i:02}.jpg" in said for i in range(9))
    assert " and 3 more; remove them, or set dataset.on_error=skip" in said


@pytest.mark.slow
@pytest.mark.drawn
def test_other_kernels_draw_a_figure_too(semrsm: Command) -> None:
    for kernel in ("linear", "cosine"):
        run = f"hydra.run.dir={kernel}"
        succeed(semrsm("translate", f"kernel={kernel}", "n_batches=1", "model.layers=blocks.4", run))
        with Image.open(Path(kernel, "figures", "translation.png")) as figure:
            assert figure.size[0] > 1000, kernel
