"""The settings that tell a run's numbers from those of another."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from enum import Enum
from typing import Any

from semrsm_cli.cluster.settings import ClusterConfig

__all__ = ["WITHOUT_EFFECT", "identifying_settings"]

WITHOUT_EFFECT = frozenset(
    {
        *("runtime.threads", "runtime.num_workers", "runtime.memory_gib"),
        *(f"cluster.{field.name}" for field in fields(ClusterConfig)),
        *("dataset.root", "dataset.split_file"),  # where something lies; its images stand in run.json
        *("n_pictures", "n_thumbnails", "arrays", "save"),
        *("kernels", "invariances", "locality"),  # which rows there are, not what stands in them
        "seed",  # of one setting, several draws
    }
)
"""Settings that do not change a number of a table's row; `seed` is kept apart."""


def identifying_settings(config: Any) -> dict[str, Any]:
    """The settings of a task by their whole names, such as `model.layers`, less those `WITHOUT_EFFECT`."""
    return {name: value for name, value in _flatten(asdict(config)) if name not in WITHOUT_EFFECT}


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it, whose text is the same however it was given."""
    if isinstance(value, Enum):
        return value.value
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
