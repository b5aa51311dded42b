"""State dicts: read without pickle, loaded with nothing missing, identified by a hash."""

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from semrsm_cli.errors import SemrsmError

__all__ = [
    "PRETRAINED",
    "RANDOM",
    "build_seeded",
    "check_complete",
    "first_line",
    "load_weights",
    "read_state_dict",
    "weights_hash",
]

_Module = TypeVar("_Module")

PRETRAINED, RANDOM = "pretrained", "random"
_SEED = 0
_UNREAD = frozenset(["pooler", "num_batches_tracked", "mask_token"])
_WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts put the state dict."""


def build_seeded(build: Callable[[], _Module], *, seed: int = _SEED) -> _Module:
    """Build a network whose random weights follow from the seed; the caller's generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def read_state_dict(location: str) -> dict[str, Tensor]:
    """The tensors in a .safetensors file, or in a .pt, .pth or .bin file that holds nothing but tensors.

    Raises:
        SemrsmError: No such file, or it cannot be read without running code of its own.
    """
    path = Path(location).expanduser()
    if not path.is_file():
        raise SemrsmError(
            f"there is no weights file {location}; give a .safetensors or .pt file, "
            "or model.weights=pretrained or random"
        )
    if path.suffix != ".safetensors" and not _is_torch_file(path):
        raise SemrsmError(f"{location} is cut short or not from torch.save; give a file of model.state_dict()")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SemrsmError(
            f"{location} is no file of tensors alone, and loading other objects would run their code; "
            "save model.state_dict(), best with safetensors"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, LookupError, OSError) as error:
        raise SemrsmError(f"cannot read the weights in {location}: {first_line(error)}") from error
    return _unwrap(content, location)


def _is_torch_file(path: Path) -> bool:
    """Whether a file begins as torch.save writes it: a zip archive, or a pickle in old versions."""
    with path.open("rb") as file:
        start = file.read(2)
        return start == b"\x80\x02" or zipfile.is_zipfile(file)


def _unwrap(content: Any, location: str) -> dict[str, Tensor]:
    """The state dict inside what a training script saved, without the prefix of data-parallel training."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(torch.is_tensor(v) for v in content.values()):
        raise SemrsmError(f"{location} holds no state dict (names to tensors); save model.state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def load_weights(module: nn.Module, state: Mapping[str, Tensor], *, label: str, allow_extra: bool = False) -> None:
    """Load a state dict into a network, as float32.

    Args:
        module: The network, changed in place.
        state: Names to tensors.
        label: The network's name, for messages.
        allow_extra: Whether the state dict may hold more than the network has.

    Raises:
        SemrsmError: A weight is missing or has another shape, or there are more than the network has.
    """
    own = module.state_dict()
    differ = [name for name in own if name in state and own[name].shape != state[name].shape]
    check_complete(
        label,
        missing=[name for name in own if name not in state],
        differ=[(name, tuple(state[name].shape), tuple(own[name].shape)) for name in differ],
    )
    extra = [name for name in state if name not in own]
    if extra and not allow_extra:
        raise SemrsmError(
            f"the weights hold {len(extra)} tensors that {label} has no place for, the first is {extra[0]}; "
            "is it another architecture?"
        )
    module.load_state_dict(dict(state), strict=False)


def check_complete(
    label: str, *, missing: Iterable[str], differ: Iterable[tuple[str, Iterable[int], Iterable[int]]]
) -> None:
    """Refuse weights of which some are missing or have another shape.

    A pooler's weights may be missing, since representations are read before it, and so may counts of batches and
    tokens of masks, which only training reads.

    Raises:
        SemrsmError: Names the first such weight and how many there are.
    """
    missing = sorted(name for name in missing if not _UNREAD.intersection(name.split(".")))
    if missing:
        raise SemrsmError(
            f"the weights lack {len(missing)} of the tensors of {label}, the first is {missing[0]}; "
            "these are weights of another architecture, or of a part of it"
        )
    differ = sorted(differ)
    if differ:
        name, got, wanted = differ[0]
        raise SemrsmError(
            f"{len(differ)} weights have another shape than in {label}, the first is {name}: {list(got)} in the file, "
            f"{list(wanted)} in the network; set model.options to match"
        )


def weights_hash(module: nn.Module) -> str:
    """BLAKE2b hash over names, types, shapes and bytes of the state dict: 32 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of a library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
