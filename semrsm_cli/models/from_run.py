"""Networks from runs of `semrsm train`: weights as safetensors, and beside them their description as JSON."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors.torch import save

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models.augmentation import preprocessing
from semrsm_cli.models.network import Network, Readout
from semrsm_cli.models.preprocessing import Normalise
from semrsm_cli.models.recipe import Architecture, NetworkSpec, Recipe
from semrsm_cli.models.resnet import ResNet, build_network
from semrsm_cli.models.weights import PRETRAINED, RANDOM, load_weights, read_state_dict

__all__ = ["DESCRIPTION", "WEIGHTS", "Description", "build", "describe", "weights_of"]

WEIGHTS, DESCRIPTION = "checkpoint.safetensors", "checkpoint.json"


@dataclass(frozen=True, kw_only=True)
class Description(NetworkSpec):
    """What is needed to use a checkpoint.

    Attributes:
        label: Name in tables and figures.
        seed: Seed of the training.
        classes: Names of the classes, in the order of the logits.
    """

    label: str
    seed: int
    classes: tuple[str, ...]


def describe(recipe: Recipe, label: str, classes: tuple[str, ...], *, seed: int, **results: Any) -> str:
    """The text of a checkpoint's JSON.

    Args:
        recipe: How the network was trained.
        label: Its name in tables and figures.
        classes: Names of the classes, in the order of the logits.
        seed: Seed of the training.
        results: More entries, such as the accuracy.
    """
    content = asdict(recipe) | {"seed": seed, "label": label, "classes": classes} | results
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def weights_of(network: ResNet) -> bytes:
    """The content of a checkpoint's safetensors file."""
    content: bytes = save({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})
    return content


def build(name: str, weights: str, revision: str | None, options: dict[str, Any]) -> Network:
    """The network in a run folder, or in a safetensors file with its JSON beside; `random` is it before training."""
    if revision is not None or options:
        raise SemrsmError("a trained network has neither model.revision nor model.options; leave them out")
    if weights not in (PRETRAINED, RANDOM):
        raise SemrsmError(f"model.name says where the weights are; leave out model.weights={weights}")
    path = _checkpoint_path(name)
    description = _read_description(path.with_suffix(".json"))
    module = build_network(description, n_classes=len(description.classes), seed=description.seed)
    if weights == PRETRAINED:
        load_weights(module, read_state_dict(str(path)), label=description.label)
    last = module.layers[-1]
    return Network(
        label=description.label,
        module=module,
        forward=module,
        preprocess=preprocessing(description),
        normalise=Normalise.of(description.mean, description.std),
        blocks=module.layers,
        readouts={Readout.after_norm: last, Readout.before_norm: last},
        prefix_tokens=0,
        n_classes=len(description.classes),
        is_cnn=True,
        channels_last=False,
    )


def _checkpoint_path(name: str) -> Path:
    """The weights file that a name means.

    Raises:
        SemrsmError: There is none.
    """
    path = Path(name).expanduser()
    path = path / WEIGHTS if path.is_dir() else path
    if not path.is_file():
        raise SemrsmError(
            f"there is no checkpoint {path}; give the folder of a finished run of `semrsm train`, which holds {WEIGHTS}"
        )
    return path


def _read_description(path: Path) -> Description:
    """The description beside the weights.

    Raises:
        SemrsmError: The file is missing, or is no such description.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known: dict[str, Any] = {field.name: content[field.name] for field in fields(Description)}
        known |= {"architecture": Architecture(known["architecture"]), "classes": tuple(known["classes"])}
        return Description(**known)
    except FileNotFoundError as error:
        raise SemrsmError(f"{path} is missing, which says what the weights beside it belong to; copy it too") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SemrsmError(f"{path} does not describe a checkpoint of `semrsm train`: {error!r}") from error
