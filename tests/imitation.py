"""Small imitations of all that `scripts/reproduce_paper.sh` reads: five data sets, and the checkpoints of the presets.

    python -m tests.imitation FOLDER

The data sets have their native layouts. The checkpoints are tiny and random, and lie where the caches of Hugging Face
and of torch have them, so that every preset loads as it is. `FOLDER/bin/semrsm` is the command that takes the imitated
CIFAR-100 for the published one; it checks its files all the same.
"""

import hashlib
import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision

from scripts.compare_checkouts import CLASSES, write_cityscapes, write_egoobjects, write_imagenet, write_tiny_imagenet
from tests.models.checkpoints import RECIPES

__all__ = ["CHECKPOINTS", "environment", "write"]

CHECKPOINTS = {
    "CIDAS/clipseg-rd64": "clipseg",
    "CIDAS/clipseg-rd64-refined": "clipseg",
    "facebook/convnextv2-base-1k-224": "convnextv2",
    "facebook/convnextv2-base-22k-224": "convnextv2",
    "facebook/dinov2-giant": "dinov2",
    "facebook/dinov2-giant-imagenet1k-1-layer": "dinov2_classifier",
    "facebook/sam-vit-base": "sam",
    "google/bit-50": "bit",
    "google/vit-base-patch16-224": "vit",
    "google/vit-large-patch32-384": "vit_large",
    "microsoft/resnet-101": "resnet_bottleneck",
    "microsoft/resnet-18": "resnet",
    "microsoft/resnet-50": "resnet_bottleneck",
    "openai/clip-vit-base-patch32": "clip",
}
"""Every checkpoint of the hub that a preset names, and the kind of its imitation."""

VIT_B16 = "vit_b_16-c867db91.pth"
CIFAR_SIZES = {"train": 40, "test": 24}

COMMAND = """#!{python}
# `semrsm` with the checksums of an imitated CIFAR-100 in place of the published ones
from torchvision.datasets import CIFAR100

CIFAR100.train_list = [["train", "{train}"]]
CIFAR100.test_list = [["test", "{test}"]]
CIFAR100.meta = CIFAR100.meta | {{"md5": "{meta}"}}

from semrsm_cli.cli import main

main()
"""


def write(folder: Path) -> dict[str, str]:
    """Write all of it below a folder; returns the environment variables that lead there."""
    data = folder / "data"
    write_imagenet(data / "imagenet")
    write_tiny_imagenet(data / "tiny-imagenet-200")
    write_egoobjects(data / "egoobjects")
    write_cityscapes(data / "cityscapes")
    checksums = write_cifar100(data / "cifar-100-python")
    for number, (repository, kind) in enumerate(sorted(CHECKPOINTS.items())):
        write_checkpoint(folder / "huggingface", repository, kind, seed=number)
    write_vit_b16(folder / "torch" / "hub" / "checkpoints" / VIT_B16)
    command = folder / "bin" / "semrsm"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable, **checksums))
    command.chmod(0o755)
    return environment(folder)


def environment(folder: Path) -> dict[str, str]:
    """What tells `scripts/reproduce_paper.sh` to use the imitations in a folder, and a store there."""
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "SEMRSM_DATA": str(folder / "data"),
        "SEMRSM_CACHE": str(folder / "store"),
        "HF_HOME": str(folder / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "TORCH_HOME": str(folder / "torch"),
    }


def write_cifar100(root: Path) -> dict[str, str]:
    """The three files of CIFAR-100, of a few images in four classes; returns their MD5 checksums."""
    rng = np.random.default_rng(0)
    contents: dict[str, dict[str, object]] = {
        split: {
            "data": rng.integers(0, 256, (n, 3072), dtype=np.uint8),
            "fine_labels": [number % len(CLASSES) for number in range(n)],
        }
        for split, n in CIFAR_SIZES.items()
    }
    contents["meta"] = {"fine_label_names": [f"class {number}" for number in range(len(CLASSES))]}
    root.mkdir(parents=True)
    checksums = {}
    for name, content in contents.items():
        data = pickle.dumps(content, protocol=2)
        (root / name).write_bytes(data)
        checksums[name] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return checksums


def write_checkpoint(home: Path, repository: str, kind: str, *, seed: int) -> None:
    """A tiny checkpoint in Hugging Face's cache, as its hub would have left it there."""
    commit = hashlib.sha1(repository.encode(), usedforsecurity=False).hexdigest()
    place = home / "hub" / f"models--{repository.replace('/', '--')}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = RECIPES[kind]()
    for part in (model, processor):
        part.save_pretrained(place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)


def write_vit_b16(path: Path) -> None:
    """Weights for torchvision's ViT-B/16 at its full size, in 10 MB: its matrices share their random numbers."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in torchvision.models.vit_b_16().state_dict().items()}
    largest = max(shape.numel() for shape in shapes.values())
    noise = 0.02 * torch.randn(largest, generator=torch.Generator().manual_seed(0))
    state = {
        name: noise[: shape.numel()].view(shape) if len(shape) > 1 else torch.full(shape, float("weight" in name))
        for name, shape in shapes.items()
    }
    path.parent.mkdir(parents=True)
    torch.save(state, path)


if __name__ == "__main__":
    for name, value in write(Path(sys.argv[1])).items():
        sys.stdout.write(f"export {name}={json.dumps(value)}\n")
