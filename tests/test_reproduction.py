"""The whole reproduction, from an empty folder, on imitations of all data sets and of all published checkpoints."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.imitation import CHECKPOINTS, write
from tests.test_scripts import SCRIPT

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the scripts lie in a checkout only")

TRAINING = "recipe.width=4 recipe.epochs=1 recipe.batch_size=16 recipe.precision=float32"
CKA = "n_images=6 batch_images=3 n_draws=1"
RETRIEVAL = "dataset.n_queries=4 n_resamples=100 n_thumbnails=4"
SMALL = {
    "train_cifar100": TRAINING,
    "train_tiny_imagenet": TRAINING,
    "train_imagenet": TRAINING,
    "figure2": "n_pairs=2 n_batches=2",
    "table1": "n_images=16",
    "figures5_and_6": "n_images=2 n_pairs=1",
    "figure7": "n_pairs=2 n_batches=1",
    "table2": f"{RETRIEVAL} dataset.n_database=6,8,12 n_pictures=1 seed=0",
    "table3": f"{RETRIEVAL} dataset.n_database=12 n_pictures=1",
    "table4": "n_images=24",
    "table5": "n_images=2 n_pairs=1 seconds_per_cell=0.01",
    "figure15": CKA.replace("n_draws=1", "n_draws=2"),
    "figure16_cifar100": CKA,
    "figure16_tiny_imagenet": CKA,
    "figure16_imagenet": CKA,
    "figure17": CKA,
    "sensitivity_egoobjects": f"{RETRIEVAL} dataset.n_database=12 n_pictures=0",
    "sensitivity_cityscapes": f"{RETRIEVAL} dataset.n_database=12 n_pictures=0",
    "sensitivity_imagenet": "n_images=16",
    "baselines": f"{RETRIEVAL} dataset.n_database=12 n_pictures=0 model=bit50,clip",  # with a map and without
}
"""Settings with which a step takes seconds; everything else is as the paper has it."""

RESNETS = ("ResNet18", "ResNet34", "ResNet101")
CLASSIFIERS = {"ResNet18", "ResNet50", "ResNet101", "ConvNextV2-Base", "ViT-B/16", "ViT-L/32", "DinoV2-Giant"}
EXTRACTORS = {"CLIPSeg", "DinoV2-Giant", "BiT-50", "CLIP", "SAM ViT/B32"}
FIGURES = {  # how many files there are at least
    "figure2/figures/translation.png": 1,
    "report/figures/scores_egoobjects_12*.png": 1,  # Figure 3
    "table2/*/figures/neighbours_1.png": 24,  # Figures 4 and 8 to 12: eight networks, three databases
    "figures5_and_6/figures/runtime*.png": 1,
    "figures5_and_6/figures/alignment.png": 1,
    "figure7/figures/translation.png": 1,
    "report/figures/neighbours_egoobjects_12_*.png": 2,  # Figures 13 and 14
    "figure15/*/figures/*.png": 2,
    "figure16_*/*/figures/*.png": 9,
    "figure17/*/figures/*.png": 2,
}


def reproduce(work: Path, variables: dict[str, str], *steps: str) -> None:
    """Run the script in a folder; it must end well."""
    own = {f"OVERRIDES_{step}": settings for step, settings in SMALL.items()}
    source = {"PYTHONPATH": str(SCRIPT.parents[1]), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "JOBS": "2"}
    done = subprocess.run(
        ["bash", SCRIPT, *steps],
        cwd=work,
        env=os.environ | variables | own | source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: when it was written, and its content."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def joined(paper: Path, name: str) -> pd.DataFrame:
    """The rows of one table of all runs; of runs with the same settings in two steps the newer one counts."""
    return pd.read_csv(paper / "report" / "tables" / f"joined_{name}.csv")


def require_tables(paper: Path) -> None:
    """Every number of every table has a row of ours."""
    correlation = joined(paper, "correlation").query("invariance in ['none', 'permutation']")
    for n_images in (16, 24):  # Tables 1 and 4
        rows = correlation[correlation["n_samples"] == n_images]
        assert set(rows["model"]) == CLASSIFIERS
        assert (rows.groupby(["model", "settings"]).size() == 3 * 2).all()  # kernels, invariances
        assert rows.groupby("model")["settings"].nunique()["ConvNextV2-Base"] == 2
        assert rows[["pearson", "spearman"]].notna().all(axis=None)
    retrieval = joined(paper, "retrieval").query("invariance in ['none', 'permutation']")
    for images, n_database in (("egoobjects", 6), ("egoobjects", 8), ("egoobjects", 12), ("cityscapes", 12)):
        rows = retrieval[(retrieval["dataset"] == images) & (retrieval["n_database"] == n_database)]
        assert set(rows["model"]) == EXTRACTORS
        assert (rows.groupby(["model", "settings"]).size() == 3 * 2).all()
        assert rows.groupby("model")["settings"].nunique()["CLIPSeg"] == 4
        assert rows["at_1"].between(0, 1).all()
    table5 = joined(paper, "matching").query("model == 'ResNet101'")
    assert set(table5["positions"]) == {256, 1024, 4096}
    assert {"scipy", "lapjv", "ortools_x1000", "diagonal", "batch_optimal"} <= set(table5["method"])


def unlike(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """Files of which one is missing or was written again."""
    return (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))


def test_the_imitations_hold_every_checkpoint_that_a_preset_names() -> None:
    presets = [yaml.safe_load(path.read_text()) for path in (SCRIPT.parents[1] / "conf" / "model").glob("*.yaml")]
    named = {preset["name"] for preset in presets if preset["source"] == "huggingface"} - {"???"}
    assert named == set(CHECKPOINTS)


@pytest.mark.slow
@pytest.mark.timeout(2400)  # of two cores that other tests share
def test_every_table_and_figure_from_an_empty_folder_and_one_step_again(tmp_path: Path) -> None:
    variables, work = write(tmp_path / "imitations"), tmp_path / "work"
    work.mkdir()
    reproduce(work, variables)
    paper = work / "outputs" / "paper"
    assert {path.name for path in (work / "outputs" / "train").iterdir() if path.is_dir()} == {
        f"{network}_{images}" for network in RESNETS for images in ("cifar100", "tiny_imagenet", "imagenet")
    }
    assert len(list((work / "outputs" / "train").glob("*/seed_[012]/checkpoint.safetensors"))) == 27
    require_tables(paper)
    too_few = {pattern: len(list(paper.glob(pattern))) for pattern in FIGURES}
    assert {pattern: n for pattern, n in too_few.items() if n < FIGURES[pattern]} == {}
    verdicts = pd.read_csv(paper / "report" / "tables" / "verdicts.csv")
    assert len(verdicts) == 270

    before, rows = files(work), joined(paper, "matching")
    reproduce(work, variables, "figures5_and_6")
    again = set(unlike(before, files(work)))
    own = {name for name in again if name.startswith("outputs/paper/figures5_and_6/")}
    assert own
    assert all(name.startswith("outputs/paper/report/") for name in again - own)
    same = [f"outputs/paper/report/tables/{name}.csv" for name in ("table5", "verdicts", "joined_retrieval")]
    after = files(work)
    assert [name for name in same if before[name][1] != after[name][1]] == []
    kept = [frame[frame["model"] == "ResNet101"] for frame in (rows, joined(paper, "matching"))]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in kept))
