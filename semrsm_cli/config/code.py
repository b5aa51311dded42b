"""Python code of the user's own is run where the command line names it, and nowhere else."""

from collections.abc import Collection, Iterator

from omegaconf import DictConfig, OmegaConf

from semrsm_cli.config.model import ModelConfig
from semrsm_cli.data import PythonDataset
from semrsm_cli.errors import ConfigError
from semrsm_cli.models import Source

__all__ = ["require_typed_code"]


def require_typed_code(settings: DictConfig, typed: Collection[str]) -> None:
    """Raise ConfigError where code would be run that only a file names.

    A preset or an experiment that was passed on could else run anything that is installed.

    Args:
        settings: All settings of a task.
        typed: Whole names of those that stand on the command line itself.
    """
    for key in _code_settings(settings):
        if key not in typed:
            raise ConfigError(
                f"{key} names Python code that is run, which no file may do; write {key}=... on the command line too"
            )


def _code_settings(settings: DictConfig) -> Iterator[str]:
    """The whole names of the settings that name code."""
    for key in map(str, settings):
        group = None if OmegaConf.is_missing(settings, key) else settings[key]
        if not isinstance(group, DictConfig):
            continue
        kind = OmegaConf.get_type(group)
        if kind is PythonDataset and group.function is not None:
            yield f"{key}.function"
        if kind is ModelConfig and group.source == Source.python:
            yield f"{key}.name"
            if key == "model" and settings.get("model_names"):
                yield "model_names"
