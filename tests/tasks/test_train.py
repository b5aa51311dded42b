"""`semrsm train`: what it leaves, that it goes on after a kill, and CKA of what it trained."""

import json
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from tests.command import Command, refuse, succeed
from tests.tasks.processes import ran_through, started

QUICK = ("dataset.n_scenes=4", "recipe.width=4", "recipe.architecture=resnet10", "recipe.epochs=2")


@pytest.mark.drawn
def test_leaves_weights_curve_and_figure(semrsm: Command) -> None:
    result = succeed(semrsm("train", *QUICK, "hydra.run.dir=run"))
    curve = pd.read_csv("run/tables/learning_curve.csv")
    assert curve["epoch"].tolist() == [1, 2]
    table = pd.read_csv("run/tables/training.csv")
    assert table["val_accuracy"].item() == pytest.approx(curve["val_accuracy"].iloc[-1])
    assert 0 < table["chance"].item() < 0.5
    description = json.loads(Path("run/checkpoint.json").read_text())
    assert (description["architecture"], description["seed"], description["epochs"]) == ("resnet10", 0, 2)
    assert description["val_accuracy"] == pytest.approx(table["val_accuracy"].item())
    assert Path("run/figures/learning_curve.png").stat().st_size > 10_000
    assert "checkpoint.safetensors" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_same_command_takes_up_what_is_in_the_store(semrsm: Command) -> None:
    arguments = ("train", *QUICK, "seed=7")
    succeed(semrsm(*arguments, "hydra.run.dir=first"))
    result = semrsm(*arguments, "hydra.run.dir=second")
    assert "goes on after epoch 2 of 2" in result.stderr
    for file in ("checkpoint.safetensors", "checkpoint.json", "tables/learning_curve.csv"):
        assert Path("first", file).read_bytes() == Path("second", file).read_bytes()


@pytest.mark.slow
def test_seeds_of_a_sweep_are_compared(semrsm: Command) -> None:
    succeed(semrsm("train", *QUICK, "--multirun", "seed=0,1", "hydra.sweep.dir=outputs/train/small"))
    few = ("n_images=12", "kernels=[linear]", "model.layers=[layer3.0,layer4.0]")
    succeed(semrsm("cka", "experiment=cka_trained", "dataset.n_scenes=4", *few, "hydra.run.dir=within"))
    rows = pd.read_csv("within/tables/cka.csv")
    assert set(rows["model_a"]) == {"ResNet10 on scenes, seed 0", "ResNet10 on scenes, seed 1"}
    succeed(
        semrsm(
            "cka", "experiment=cka_trained", "dataset.n_scenes=4", *few, "between_networks=true", "hydra.run.dir=across"
        )
    )
    rows = pd.read_csv("across/tables/cka.csv")
    assert rows[["model_a", "model_b"]].drop_duplicates().shape == (1, 2)
    assert (rows["cka"] < 1).all()


def test_folder_of_one_s_own_images(semrsm: Command, tmp_path: Path) -> None:
    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (20 + i, 20), color).save(tmp_path / "mine" / name / f"{i}.png")
    succeed(
        semrsm("train", "dataset=folder", "dataset.root=mine", "recipe.width=4", "recipe.epochs=3", "hydra.run.dir=run")
    )
    assert pd.read_csv("run/tables/training.csv")["classes"].item() == 2


def test_errors_are_one_line(semrsm: Command) -> None:
    for arguments, complaint, exit_code in (
        (["dataset=photos"], "dataset=photos has no classes to learn", 2),
        (["dataset=tiny_imagenet", "dataset.hub=zh-plus/tiny-imagenet"], "and cannot be fetched from Hugging Face", 1),
        (["dataset=cifar100"], "where cifar-100-python lies is not known", 1),
        (["recipe.epochs=0"], "recipe.epochs must be at least 1, got 0", 2),
        (["recipe.momentum=1"], "recipe.momentum must be at least 0 and below 1, got 1", 2),
        (["recipe.std=[1,1]"], "recipe.std must hold three numbers, as in [0.5,0.5,0.5], got [1.0, 1.0]", 2),
        (["recipe.crop=half"], "half", 2),
        (["recipe=tiny"], "no config 'recipe/tiny', choose from cifar100, imagenet, small, tiny_imagenet", 2),
        (["epochs=1"], "do you mean recipe.epochs?", 2),
        (["val_fraction=1"], "val_fraction must lie between 0 and 1, got 1.0", 2),
    ):
        refuse(semrsm, "train", *arguments, complaint=complaint, exit_code=exit_code)


def epochs_in_store(root: Path) -> int:
    from safetensors import safe_open

    for state in (root / "cache").rglob("state.safetensors"):
        with safe_open(state, framework="pt") as stored:
            return len(json.loads(stored.metadata()["training"])["history"])
    return 0


@pytest.mark.slow
def test_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    arguments = ("train", *QUICK, "dataset.n_scenes=6", "recipe.epochs=8", "hydra.run.dir=run")
    ran_through(tmp_path / "whole", *arguments)
    killed = started(tmp_path / "killed", *arguments)
    while epochs_in_store(tmp_path / "killed") < 2 and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 2 <= epochs_in_store(tmp_path / "killed") < 8
    assert not (tmp_path / "killed" / "run" / "checkpoint.safetensors").exists()
    assert "goes on after epoch" in ran_through(tmp_path / "killed", *arguments)
    for file in ("checkpoint.safetensors", "checkpoint.json", "tables/learning_curve.csv"):
        assert (tmp_path / "killed" / "run" / file).read_bytes() == (tmp_path / "whole" / "run" / file).read_bytes()


@pytest.mark.slow
def test_default_learns_and_its_rsms_agree_more_in_late_layers(semrsm: Command) -> None:
    succeed(semrsm("train", "--multirun", "seed=0,1", "hydra.sweep.dir=outputs/train/small"))
    for seed in (0, 1):
        table = pd.read_csv(f"outputs/train/small/seed_{seed}/tables/training.csv")
        assert table["val_accuracy"].item() > 5 * table["chance"].item(), table
    ends = "model.layers=[stem.norm,layer4.*.sum]"
    succeed(semrsm("cka", "experiment=cka_trained", ends, "hydra.run.dir=run"))
    consistency = pd.read_csv("run/tables/consistency.csv")
    for _, of_kernel in consistency.groupby("kernel"):
        early, late = of_kernel.query("positions == 1024"), of_kernel.query("positions == 16")
        assert early["highest"].max() < late["lowest"].min(), of_kernel


def test_device_that_is_not_there(semrsm: Command) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    complaint = "runtime.device=cuda is not available"
    refuse(semrsm, "train", *QUICK, "runtime.device=cuda", complaint=complaint, exit_code=2)
