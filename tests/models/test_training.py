"""Training: it learns, it goes on where it stopped, and chance follows seed and epoch."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import load
from semrsm_cli.models.augmentation import Cutout, preprocessing
from semrsm_cli.models.from_run import describe, weights_of
from semrsm_cli.models.recipe import Architecture, Crop, Policy, Recipe, TrainingPrecision
from semrsm_cli.models.training import TrainDataset, Training, _random_order

RECIPE = Recipe(
    architecture=Architecture.resnet10,
    width=4,
    early_downsampling=False,
    image_size=16,
    mean=[0.5, 0.5, 0.5],
    std=[0.25, 0.25, 0.25],
    crop=Crop.padded,
    policy=Policy.cifar10,
    cutout=4,
    epochs=3,
    batch_size=8,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    precision=TrainingPrecision.float32,
)
PLAIN = replace(RECIPE, crop=Crop.none, policy=Policy.none, cutout=0)


class Patches:
    """Bright and dark images, with noise."""

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(2, size=n)
        self.pixels = rng.integers(0, 128, (n, 16, 16, 3)) + 127 * self.labels[:, None, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.pixels[i].astype(np.uint8)), int(self.labels[i])


def training(state: Path, recipe: Recipe = RECIPE, *, seed: int = 0, **settings: Any) -> Training:
    return Training(recipe, Patches(20), Patches(12, seed=1), n_classes=2, seed=seed, state=state, **settings)


def weights(found: Training) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in found.network.state_dict().items()}


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_learns(tmp_path: Path) -> None:
    found = training(tmp_path / "state", replace(PLAIN, epochs=6))
    steps: list[int] = []
    found.run(steps.append)
    assert sum(steps) == 6 * found.n_steps == 6 * (3 + 2)
    assert [epoch.epoch for epoch in found.history] == [1, 2, 3, 4, 5, 6]
    assert found.history[-1].train_loss < found.history[0].train_loss
    assert found.history[-1].val_accuracy == 1


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_goes_on_from_its_last_epoch_with_the_same_weights(tmp_path: Path, momentum: float) -> None:
    recipe = replace(RECIPE, momentum=momentum)
    whole = training(tmp_path / "whole", recipe)
    whole.run(lambda _: None)
    interrupted = training(tmp_path / "state", recipe)

    def stop(_: int) -> None:
        if len(interrupted.history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.run(stop)
    torch.manual_seed(123)  # whatever happens between two runs
    resumed = training(tmp_path / "state", recipe)
    assert resumed.history == interrupted.history
    resumed.run(lambda _: None)
    assert resumed.history == whole.history
    assert_same(weights(resumed), weights(whole))
    assert (tmp_path / "state").read_bytes() == (tmp_path / "whole").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_in_a_job_of_slurm_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = training(tmp_path / "outside", PLAIN)
    outside.run(lambda _: None)
    (tmp_path / "srun").write_text("#!/bin/sh")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, value in {"JOB_ID": "7", "JOB_NAME": "job", "NTASKS": "2", "PROCID": "1", "LOCALID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    inside = training(tmp_path / "inside", PLAIN)
    assert inside.fabric.world_size == 1
    inside.run(lambda _: None)
    assert_same(weights(outside), weights(inside))


def test_finished_training_is_not_run_again(tmp_path: Path) -> None:
    training(tmp_path / "state", replace(PLAIN, epochs=1)).run(lambda _: None)
    again = training(tmp_path / "state", replace(PLAIN, epochs=1))
    again.run(lambda _: pytest.fail("a step after the last epoch"))
    assert len(again.history) == 1


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def flipped_in_the_header(content: bytes) -> bytes:
    return content.replace(b"train_loss", b"train_lost", 1)


def flipped_in_a_weight(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize("damage", [cut_short, emptied, flipped_in_the_header, flipped_in_a_weight])
def test_a_damaged_state_is_said_and_made_anew(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    whole = training(tmp_path / "whole", PLAIN)
    whole.run(lambda _: None)
    training(tmp_path / "state", PLAIN).run(lambda _: None)
    last, before = tmp_path / "state", tmp_path / "state_before"
    for damaged, epochs in (((last,), 2), ((before,), 3), ((last, before), 0)):
        caplog.clear()
        for path in damaged:
            path.write_bytes(damage(path.read_bytes()))
        again = training(last, PLAIN)
        assert len(again.history) == epochs, damaged
        assert len(caplog.messages) == (0 if epochs == 3 else len(damaged))
        for message in caplog.messages:
            assert "is damaged; training goes on from the epoch before it, or begins anew" in message
            assert "\n" not in message
        again.run(lambda _: None)
        assert again.history == whole.history
        assert last.read_bytes() == (tmp_path / "whole").read_bytes()
        training(tmp_path / "new", PLAIN).run(lambda _: None)
        before.write_bytes((tmp_path / "new_before").read_bytes())


def test_killed_between_the_two_states_it_goes_on_from_the_first(tmp_path: Path) -> None:
    training(tmp_path / "state", PLAIN).run(lambda _: None)
    (tmp_path / "state").unlink()
    assert len(training(tmp_path / "state", PLAIN).history) == 2


def test_seed_decides_weights_and_leaves_the_callers_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    runs = [training(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert_same(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(runs[0].network.stem.conv.weight, runs[2].network.stem.conv.weight)
    assert torch.equal(torch.rand(3), expected)


def test_chance_follows_seed_epoch_and_image(tmp_path: Path) -> None:
    images = TrainDataset(Patches(4), RECIPE, seed=0)
    assert torch.equal(images[2, 1][0], images[2, 1][0])
    assert not torch.equal(images[2, 1][0], images[3, 1][0])
    other = TrainDataset(Patches(4), RECIPE, seed=1)
    assert not torch.equal(images[2, 1][0], other[2, 1][0])
    orders = [_random_order(20, 0, epoch).tolist() for epoch in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(20))


@pytest.mark.slow
def test_loader_processes_change_nothing(tmp_path: Path) -> None:
    for num_workers in (0, 2):
        training(tmp_path / str(num_workers), replace(RECIPE, epochs=2), num_workers=num_workers).run(lambda _: None)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "2").read_bytes()


def test_bfloat16_keeps_weights_in_float32(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = training(tmp_path / "state", replace(PLAIN, epochs=2, precision=TrainingPrecision.bfloat16))
    found.run(lambda _: None)
    assert {tensor.dtype for tensor in weights(found).values()} == {torch.float32, torch.int64}
    assert np.isfinite(found.history[-1].val_loss)
    assert not caplog.records


def test_loss_without_bounds_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match=r"the loss is (nan|inf) after epoch 1 at a learning rate of 1e.30; lower"):
        training(tmp_path / "state", replace(PLAIN, learning_rate=1e30)).run(lambda _: None)
    assert not (tmp_path / "state").exists()


def test_learning_rate_falls_along_a_cosine(tmp_path: Path) -> None:
    found = training(tmp_path / "state", replace(PLAIN, epochs=4))
    found.run(lambda _: None)
    expected = [0.1 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert [epoch.learning_rate for epoch in found.history] == pytest.approx(expected, rel=1e-14)


def test_cutout_blanks_a_square_that_may_reach_over_the_rim() -> None:
    torch.manual_seed(0)
    blanked = [int((Cutout(4)(torch.ones(3, 8, 8))[0] == 0).sum()) for _ in range(60)]
    assert max(blanked) == 16
    assert min(blanked) < 16


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    found = training(tmp_path / "state", replace(PLAIN, epochs=1), seed=3)
    found.run(lambda _: None)
    (tmp_path / "checkpoint.safetensors").write_bytes(weights_of(found.network))
    description = describe(found.recipe, "small", ("dark", "bright"), seed=3, val_accuracy=0.5)
    (tmp_path / "checkpoint.json").write_text(description)
    return tmp_path


def test_checkpoint_is_loaded_as_it_was_left(checkpoint: Path) -> None:
    network = load("trained", str(checkpoint))
    assert (network.label, network.n_classes, network.blocks[0]) == ("small", 2, "stem")
    assert network.preprocess(Image.new("RGB", (50, 30))).shape == (3, 16, 16)
    torch.testing.assert_close(network.preprocess(Image.new("RGB", (16, 16)))[0, 0, 0], torch.tensor(-2.0))
    again = training(checkpoint / "state", replace(PLAIN, epochs=1), seed=3)
    assert_same(weights(again), network.module.state_dict())
    by_file = load("trained", str(checkpoint / "checkpoint.safetensors"))
    assert by_file.identity["weights"] == network.identity["weights"]


def test_description_keeps_its_text() -> None:
    keys = list(json.loads(describe(RECIPE, "small", ("dark",), seed=3, val_accuracy=0.5)))
    assert keys == [
        *("architecture", "batch_size", "classes", "crop", "cutout", "early_downsampling", "epochs", "image_size"),
        *("label", "learning_rate", "mean", "momentum", "policy", "precision", "seed", "std", "val_accuracy"),
        *("weight_decay", "width"),
    ]
    # the keys of the store hold this text
    preprocess = preprocessing(RECIPE)
    assert "Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))" in str(preprocess)


def test_random_weights_are_those_before_training(checkpoint: Path, tmp_path: Path) -> None:
    network = load("trained", str(checkpoint), weights="random")
    assert_same(weights(training(tmp_path / "new", PLAIN, seed=3)), network.module.state_dict())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda folder: (folder / "checkpoint.json").unlink(), "is missing, which says"),
        (lambda folder: (folder / "checkpoint.json").write_text("{}"), "does not describe a checkpoint"),
        (lambda folder: (folder / "checkpoint.json").write_text("nonsense"), "does not describe a checkpoint"),
        (lambda folder: widen(folder / "checkpoint.json", 0), "width must be at least 1, got 0"),
        (lambda folder: (folder / "checkpoint.safetensors").unlink(), "there is no checkpoint"),
        (lambda folder: (folder / "checkpoint.safetensors").write_bytes(b"x"), "cannot read the weights"),
        (lambda folder: widen(folder / "checkpoint.json", 8), "have another shape than in small"),
    ],
)
def test_broken_checkpoint(checkpoint: Path, change: Any, complaint: str) -> None:
    change(checkpoint)
    with pytest.raises(SemrsmError, match=complaint) as error:
        load("trained", str(checkpoint))
    assert "\n" not in str(error.value)


def widen(path: Path, width: int) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": width}))


def test_settings_that_mean_nothing_here_are_refused(checkpoint: Path, subtests: pytest.Subtests) -> None:
    settings: tuple[dict[str, Any], ...] = ({"weights": "other.pt"}, {"revision": "main"}, {"options": {"depth": 3}})
    for setting in settings:
        with subtests.test(**setting), pytest.raises(SemrsmError, match="leave"):
            load("trained", str(checkpoint), **setting)
