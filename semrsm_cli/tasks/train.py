"""`semrsm train`: networks for small images, of which no weights are public (Appendix G)."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from semrsm_cli import store
from semrsm_cli.config import TrainConfig
from semrsm_cli.data import ClassifiedImages, TrainingSet
from semrsm_cli.files import note_use
from semrsm_cli.models.from_run import DESCRIPTION, WEIGHTS, describe, weights_of
from semrsm_cli.models.resnet import n_parameters
from semrsm_cli.models.training import Training
from semrsm_cli.models.weights import weights_hash
from semrsm_cli.pipeline.images import open_training_set
from semrsm_cli.pipeline.networks import require_device
from semrsm_cli.report.figures.train import learning_curve_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log, tracked

__all__ = ["train"]

_SHOWN = ["architecture", "dataset", "classes", "epochs", "seed", "val_loss", "val_accuracy", "chance"]


def train(config: TrainConfig, folder: RunFolder) -> pd.DataFrame:
    """Train one network, and write its weights, what they belong to, and its learning curve; returns the result."""
    require_device(config.runtime.device)
    images = open_training_set(config.dataset, config.val_fraction)
    recipe = config.recipe
    key = store.digest(
        {
            "recipe": asdict(recipe),
            "seed": config.seed,
            "images": [side.images.fingerprint() for side in (images.train, images.val)],
            "classes": [side.labels.tolist() for side in (images.train, images.val)],
        }
    )
    with store.locked(key), folder.timed("train"):
        training = _train(images, config, key)
    table = _result(training, images, config)
    curve = pd.DataFrame([asdict(epoch) for epoch in training.history])
    label = _network_label(config, images)
    last = training.history[-1]
    description = describe(
        recipe,
        f"{label}, seed {config.seed}",
        images.train.classes,
        seed=config.seed,
        dataset=images.train.images.name,
        val_accuracy=last.val_accuracy,
        val_loss=last.val_loss,
    )
    folder.table("training", table)
    folder.data("learning_curve", curve)
    folder.figure("learning_curve", learning_curve_figure(curve, chance=_chance(images.val), label=label))
    folder.text(DESCRIPTION, description)
    folder.file(WEIGHTS, weights_of(training.network))
    folder.note(
        dataset=images.train.images.name,
        image_ids_hash=store.digest([images.train.images.ids, images.val.images.ids]),
        recipe=asdict(recipe),
        weights=weights_hash(training.network),
        seed=config.seed,
        state=str(training.state),
    )
    return table[_SHOWN]


def _train(images: TrainingSet, config: TrainConfig, key: str) -> Training:
    """The training, finished; it goes on from the last epoch that is in the store."""
    recipe = config.recipe
    state = store.cache_folder() / store.TRAINING / key / "state.safetensors"
    training = Training(
        recipe,
        images.train,
        images.val,
        n_classes=len(images.train.classes),
        seed=config.seed,
        state=state,
        device=config.runtime.device,
        num_workers=config.runtime.n_readers,
    )
    done = len(training.history)
    if done:
        log(f"goes on after epoch {done} of {recipe.epochs}, which is in the store")
    with tracked(
        f"train {recipe.architecture}", recipe.epochs * training.n_steps, done=done * training.n_steps
    ) as advance:
        training.run(advance)
    note_use(state.parent)
    return training


def _network_label(config: TrainConfig, images: TrainingSet) -> str:
    """What the network is called, as the paper spells it."""
    if config.label is not None:
        return config.label
    return f"{str(config.recipe.architecture).replace('resnet', 'ResNet')} on {images.train.images.name}"


def _result(training: Training, images: TrainingSet, config: TrainConfig) -> pd.DataFrame:
    """The table: what was trained on what, and how well it does on images that it has not seen."""
    last = training.history[-1]
    row = {
        "architecture": str(config.recipe.architecture),
        "dataset": images.train.images.name,
        "classes": len(images.train.classes),
        "n_train": len(images.train),
        "n_val": len(images.val),
        "parameters": n_parameters(training.network),
        "epochs": last.epoch,
        "seed": config.seed,
        "train_loss": last.train_loss,
        "val_loss": last.val_loss,
        "val_accuracy": last.val_accuracy,
        "chance": _chance(images.val),
    }
    return pd.DataFrame([row])


def _chance(images: ClassifiedImages) -> float:
    """The accuracy of always saying the most frequent class."""
    return float(np.bincount(images.labels).max() / len(images))
