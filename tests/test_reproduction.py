"""The whole reproduction, from an empty folder, on imitations of all data sets and all published checkpoints."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.imitation import CHECKPOINTS, write
from tests.test_scripts import SCRIPT

PRESETS = SCRIPT.parents[1] / "conf" / "model"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the scripts lie in a checkout only")

TRAINING = "recipe.width=4 recipe.epochs=1 recipe.batch_size=16 recipe.precision=float32"
CKA = "n_images=6 batch_images=3"
RETRIEVAL = "dataset.n_queries=4 n_resamples=100"
SMALL = {
    "train_cifar100": TRAINING,
    "train_tiny_imagenet": TRAINING,
    "train_imagenet": TRAINING,
    "figure2": "n_pairs=2 n_batches=2",
    "table1": "n_images=16",
    "figures5_and_6": "n_images=2 n_pairs=1",
    "figure7": "n_pairs=2 n_batches=1",
    "table2": f"{RETRIEVAL} dataset.n_database=6,8,12 seed=0,1 n_pictures=1",
    "table3": f"{RETRIEVAL} dataset.n_database=12 n_pictures=1",
    "table4": "n_images=24",
    "table5": "n_images=2 n_pairs=1",
    "figure15": CKA,
    "figure16_cifar100": CKA,
    "figure16_tiny_imagenet": CKA,
    "figure16_imagenet": CKA,
    "figure17": CKA,
    "sensitivity_egoobjects": f"{RETRIEVAL} dataset.n_database=12 n_pictures=0",
    "sensitivity_cityscapes": f"{RETRIEVAL} dataset.n_database=12 n_pictures=0",
    "sensitivity_imagenet": "n_images=16",
}
"""Sizes at which a step takes seconds; everything else is as the paper has it."""

CLASSIFIERS = {"ResNet18", "ResNet50", "ResNet101", "ConvNextV2-Base", "ViT-B/16", "ViT-L/32", "DinoV2-Giant"}
EXTRACTORS = {"CLIPSeg", "DinoV2-Giant", "BiT-50", "CLIP", "SAM ViT/B32"}


def reproduce(folder: Path, *steps: str) -> None:
    """Run the script in `work`, beside the imitations, which must end well."""
    own = {f"OVERRIDES_{step}": settings for step, settings in SMALL.items()}
    done = subprocess.run(
        ["bash", SCRIPT, *steps],
        cwd=folder / "work",
        env=os.environ | write_once(folder) | own | {"MPLBACKEND": "Agg", "PYTHONPATH": str(SCRIPT.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its content and when it was written."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
