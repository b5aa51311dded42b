"""The presets of networks in conf/model, as far as they name weights."""

from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from semrsm_cli.config.model import ModelConfig
from semrsm_cli.models import Source

__all__ = ["conf_folder", "presets"]

_FETCHED = (Source.huggingface, Source.timm, Source.torchvision)


def conf_folder() -> Path:
    """Where the YAML files lie: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@cache
def presets() -> dict[str, ModelConfig]:
    """The networks that a preset names with their weights, by the name of the preset; of the rest they know nothing."""
    found = {}
    for path in sorted((conf_folder() / "model").glob("*.yaml")):
        settings = OmegaConf.load(path)
        assert isinstance(settings, DictConfig)
        if Source(settings.source) in _FETCHED and not OmegaConf.is_missing(settings, "name"):
            found[path.stem] = ModelConfig(
                label=settings.label,
                source=Source(settings.source),
                name=settings.name,
                revision=settings.get("revision"),
            )
    return found
