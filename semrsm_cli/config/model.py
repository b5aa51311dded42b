"""Which network looks at the images."""

from dataclasses import dataclass, field
from typing import Any

from semrsm_cli.checks import require
from semrsm_cli.models import ClsToken, Framing, Readout, Source

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network looks at the images, and where its representations are read."""

    label: str
    """Name in tables and figures; for the paper's models the paper's own."""
    source: Source
    """Library that builds the network."""
    name: str
    """Name within that library, a Hugging Face id or local folder; for `checkpoint` timm:NAME or torchvision:NAME; for
    `python` the function that returns the network, path/to/file.py:function or package.module:function."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a state dict."""
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face checkpoint, or torchvision's name of a set of weights."""
    layers: list[str] = field(default_factory=lambda: ["last"])
    """Module names or patterns with `*`; `all` for every block, `last` for the last hidden layer."""
    readout: Readout = Readout.after_norm
    """Where the last hidden layer is read in networks that end in a normalisation."""
    cls_token: ClsToken = ClsToken.drop
    """Whether a class token counts as a position; the paper's code keeps it."""
    framing: Framing = Framing.own
    """How a picture that is no square is shown: as the network's `own` preprocessing does, which often cuts its sides
    off, the whole in a `squash`, or the whole with a `pad` of the network's mean colour."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture, or of your own function: +model.options.num_hidden_layers=2."""

    def __post_init__(self) -> None:
        require(bool(self.layers), "layers names no layer; give names, patterns, 'all' or 'last'")
