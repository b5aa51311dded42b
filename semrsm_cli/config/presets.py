"""The presets of networks in conf/model, as far as they name weights."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from semrsm_cli.models import Source

__all__ = ["Preset", "conf_folder", "presets"]

_FETCHED = (Source.huggingface, Source.timm, Source.torchvision)


@dataclass(frozen=True)
class Preset:
    """The weights that a preset names.

    Attributes:
        source: Library that reads them.
        name: Name within it.
        revision: Which of its sets of weights.
        label: Name of the network in tables.
    """

    source: Source
    name: str
    revision: str | None
    label: str


def conf_folder() -> Path:
    """Where the YAML files lie: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@cache
def presets() -> dict[str, Preset]:
    """The networks that a preset names with their weights, by the name of the preset."""
    found = {}
    for path in sorted((conf_folder() / "model").glob("*.yaml")):
        settings = OmegaConf.load(path)
        assert isinstance(settings, DictConfig)
        if Source(settings.source) in _FETCHED and not OmegaConf.is_missing(settings, "name"):
            found[path.stem] = Preset(Source(settings.source), settings.name, settings.get("revision"), settings.label)
    return found
