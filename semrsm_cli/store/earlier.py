"""What other versions of the program stored: their keys are others, so that no run reads it by itself."""

import json
from pathlib import Path
from typing import Any

from semrsm_cli.stages import VERSIONS
from semrsm_cli.store.keys import FORMAT

__all__ = ["earlier_version", "format_of"]

_FIRST_FORMAT = 1
"""That of arrays without checksums, which did not tell it."""
_METADATA = "zarr.json"


def format_of(path: Path) -> int | None:
    """The format of representations or tiles; None where it is today's, or where nothing tells it."""
    told = _settings(path).get("format")
    if told is not None:
        return None if told == FORMAT else told
    arrays = [array.parent for array in path.rglob(_METADATA) if _attribute(array.parent, "shape") is not None]
    has_checksums = any((array / "checksums.csv").exists() for array in arrays)
    return None if has_checksums or not arrays else _FIRST_FORMAT


def earlier_version(path: Path) -> str:
    """In what representations or tiles differ from those of today, such as `matching 1`; nothing where in nothing."""
    other = format_of(path)
    stages: dict[str, int] = _settings(path).get("stages", {})
    stale = [f"{name} {version}" for name, version in stages.items() if VERSIONS.get(name) != version]
    return ", ".join([f"format {other}", *stale] if other is not None else stale)


def _settings(path: Path) -> dict[str, Any]:
    """What was noted of an entry: the settings of representations, or what tiles are about."""
    inner = next(path.glob(f"*/inner/{_METADATA}"), None)
    attributes = _attribute(path if inner is None else inner.parent, "attributes") or {}
    found: dict[str, Any] = attributes.get("settings", attributes)
    return found


def _attribute(folder: Path, name: str) -> Any:
    """An entry of Zarr's metadata; None where there is none, or where they are damaged."""
    try:
        return json.loads((folder / _METADATA).read_bytes()).get(name)
    except (OSError, ValueError, AttributeError):
        return None
