"""`semrsm train`: networks for small images, of which no weights are public (Appendix G)."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from semrsm_cli import data, store
from semrsm_cli.config import (
    Cifar100Config,
    FolderConfig,
    ImagenetConfig,
    ScenesConfig,
    TinyImagenetConfig,
    TrainConfig,
)
from semrsm_cli.data import ClassifiedImages, TrainingSet
from semrsm_cli.errors import ConfigError
from semrsm_cli.models.from_training import DESCRIPTION, WEIGHTS, described, weights_of
from semrsm_cli.models.recipe import Recipe
from semrsm_cli.models.resnet import n_parameters
from semrsm_cli.models.training import Training
from semrsm_cli.models.weights import weights_hash
from semrsm_cli.report.figures.train import learning_curve_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import say, tracked
from semrsm_cli.tasks.extract import filming_of, require_device

__all__ = ["train"]

SHOWN = ["architecture", "dataset", "classes", "epochs", "seed", "val_loss", "val_accuracy", "chance"]


def train(config: TrainConfig, folder: RunFolder) -> pd.DataFrame:
    """Train one network, and write its weights, what they belong to, and its learning curve; returns the result."""
    require_device(config.runtime.device)
    images = open_training_set(config)
    recipe = recipe_of(config)
    key = store.digest(
        {
            "recipe": asdict(recipe),
            "images": [side.images.fingerprint() for side in (images.train, images.val)],
            "classes": [side.labels.tolist() for side in (images.train, images.val)],
        }
    )
    with store.locked(key), folder.timed("train"):
        training = trained(recipe, images, config, key)
    table = result(training, images, config)
    curve = pd.DataFrame([asdict(epoch) for epoch in training.history])
    label = network_label(config, images)
    last = training.history[-1]
    description = described(
        recipe,
        f"{label}, seed {config.seed}",
        images.train.classes,
        dataset=images.train.images.name,
        val_accuracy=last.val_accuracy,
        val_loss=last.val_loss,
    )
    folder.table("training", table)
    folder.data("learning_curve", curve)
    folder.figure("learning_curve", learning_curve_figure(curve, chance=chance(images.val), label=label))
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
    return table[SHOWN]


def trained(recipe: Recipe, images: TrainingSet, config: TrainConfig, key: str) -> Training:
    """The training, finished; it goes on from the last epoch that is in the store."""
    training = Training(
        recipe,
        images.train,
        images.val,
        n_classes=len(images.train.classes),
        state=store.cache_folder() / "training" / key / "state.safetensors",
        device=config.runtime.device,
        loaders=config.runtime.loaders,
    )
    done = len(training.history)
    if done:
        say(f"goes on after epoch {done} of {recipe.epochs}, which is in the store")
    with tracked(
        f"train {recipe.architecture}", recipe.epochs * training.n_steps, done=done * training.n_steps
    ) as advance:
        training.run(advance)
    return training


def open_training_set(config: TrainConfig) -> TrainingSet:
    """Images with one class each, to train on and to validate with."""
    dataset, share = config.dataset, config.hold_out
    match dataset:
        case Cifar100Config():
            return data.held_out(data.cifar100(dataset.root, split="train"), share)
        case ScenesConfig():
            return data.scene_objects(store.cache_folder() / "scenes", filming_of(dataset), share=share)
        case FolderConfig():
            return data.classified_folder(dataset.root, share=share, on_error=dataset.on_error)
        case ImagenetConfig(hub=None):
            return data.classified_imagenet(dataset.root, on_error=dataset.on_error)
        case TinyImagenetConfig(hub=None):
            return data.classified_tiny_imagenet(dataset.root, on_error=dataset.on_error)
        case ImagenetConfig() | TinyImagenetConfig():
            raise ConfigError(f"training reads {dataset.name} from its own folders; give dataset.root, not dataset.hub")
        case _:
            raise ConfigError(
                f"dataset={dataset.name} has no classes to learn; choose scenes, folder, cifar100, tiny_imagenet or "
                "imagenet"
            )


def recipe_of(config: TrainConfig) -> Recipe:
    """The settings that the weights depend on."""
    names = [name for name in Recipe.__dataclass_fields__ if name not in ("mean", "std")]
    settings = {name: getattr(config, name) for name in names}
    return Recipe(mean=tuple(config.mean), std=tuple(config.std), **settings)


def network_label(config: TrainConfig, images: TrainingSet) -> str:
    """What the network is called, as the paper spells it."""
    if config.label is not None:
        return config.label
    return f"{str(config.architecture).replace('resnet', 'ResNet')} on {images.train.images.name}"


def result(training: Training, images: TrainingSet, config: TrainConfig) -> pd.DataFrame:
    """The table: what was trained on what, and how well it does on images that it has not seen."""
    last = training.history[-1]
    row = {
        "architecture": str(config.architecture),
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
        "chance": chance(images.val),
    }
    return pd.DataFrame([row])


def chance(images: ClassifiedImages) -> float:
    """The accuracy of always saying the most frequent class."""
    return float(np.bincount(images.labels).max() / len(images))
