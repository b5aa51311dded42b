"""Files and folders that hold no network, or another one than they are asked for."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from semrsm_cli.models import load
from tests.data.bad_input import Case, Read, halve, then, write

ARCHITECTURE = "torchvision:squeezenet1_1"
FIRST = "features.0.weight"


def state() -> dict[str, torch.Tensor]:
    """Weights of the architecture, all zero."""
    import torchvision

    shapes = torchvision.models.squeezenet1_1().state_dict()
    return {name: torch.zeros_like(tensor) for name, tensor in shapes.items()}


class Harmful:
    """What would touch a file if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("harm").touch, ())  # type: ignore[return-value]


def weights(name: str, make: Callable[[Path], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        make(folder / name)
        return lambda: load("checkpoint", ARCHITECTURE, weights=str(folder / name))

    return prepare


def hub_folder(**files: str) -> Callable[[Path], Read]:
    """A local folder in place of a checkpoint of Hugging Face."""

    def prepare(folder: Path) -> Read:
        for name, content in files.items():
            (folder / f"{name}.json").write_text(content)
        return lambda: load("huggingface", str(folder))

    return prepare


def trained(content: str | None) -> Callable[[Path], Read]:
    """A folder in place of a run of `semrsm train`."""

    def prepare(folder: Path) -> Read:
        if content is not None:
            (folder / "run.json").write_text(content)
        return lambda: load("trained", str(folder))

    return prepare


CHECKPOINTS: list[Case] = [
    ("no file of weights", weights("x.pt", lambda path: None), "there is no checkpoint .*x.pt'; give a .safetensors"),
    ("folder as weights", weights("x.pt", Path.mkdir), "there is no checkpoint"),
    ("empty .pt", weights("x.pt", write(b"")), "cut short or not from torch.save; give a file"),
    ("web page as .pt", weights("x.pt", write(b"<html>404</html>")), "cut short or not from torch.save"),
    ("bytes as .safetensors", weights("x.safetensors", write(b"\xff" * 90)), "cannot read the weights .*x.safetensors"),
    (
        "truncated .safetensors",
        weights("x.safetensors", then(lambda path: save_file(state(), path), halve)),
        "cannot read the weights .*x.safetensors",
    ),
    ("truncated .pt", weights("x.pt", then(lambda path: torch.save(state(), path), halve)), "is cut short or not from"),
    (
        "pickle that runs code",
        weights("x.pt", lambda path: torch.save({"x": Harmful()}, path)),
        r"no file of tensors alone, .* save model\.state_dict\(\)",
    ),
    ("list of tensors", weights("x.pt", lambda path: torch.save([torch.ones(1)], path)), "holds no state dict"),
    (
        "another architecture",
        weights("x.pt", lambda path: torch.save({"fc.weight": torch.ones(1)}, path)),
        "lack .* of the tensors of .*, the first is",
    ),
    (
        "tensor of another shape",
        weights("x.pt", lambda path: torch.save(state() | {FIRST: torch.ones(2, 2)}, path)),
        "1 weights have another shape than in .*, the first is features.0.weight",
    ),
    (
        "tensor too many",
        weights("x.pt", lambda path: torch.save(state() | {"more": torch.ones(1)}, path)),
        "1 tensors that .* has no place for, the first is more",
    ),
    ("hub folder that is empty", hub_folder(), "holds no config.json; give a folder that save_pretrained wrote"),
    ("hub folder with a broken config", hub_folder(config="{"), "cannot load .*config.json' is not a valid JSON"),
    ("hub folder with a list for a config", hub_folder(config="[]"), "cannot load .*Unrecognized model"),
    ("hub folder of an unknown kind", hub_folder(config=json.dumps({"model_type": "no such"})), "model type `no such`"),
    (
        "hub folder without a processor",
        hub_folder(config=json.dumps({"model_type": "vit"})),
        "holds no preprocessor_config.json, which says how images are prepared",
    ),
    (
        "folder without a training",
        trained(None),
        "there is no checkpoint .*give the folder of a finished run of `semrsm train`",
    ),
]
