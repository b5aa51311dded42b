"""Which settings name Python code of the user's own that a run would execute."""

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from semrsm_cli.config.model import ModelConfig
from semrsm_cli.models import Source

__all__ = ["code_settings"]


def code_settings(settings: DictConfig) -> Iterator[str]:
    """The whole names of the settings that name code: of networks and data sets whose source is `python`."""
    for key in map(str, settings):
        group = None if OmegaConf.is_missing(settings, key) else settings[key]
        if not isinstance(group, DictConfig):
            continue
        kind = OmegaConf.get_type(group)
        if kind is ModelConfig and group.source == Source.python:
            yield f"{key}.name"
            if key == "model" and settings.get("model_names"):
                yield "model_names"
