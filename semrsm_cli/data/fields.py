"""What the fields of records in a JSON file must hold, said once for each kind of record."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from semrsm_cli.errors import SemrsmError

__all__ = ["CATEGORY", "ID", "PATH", "SIDE", "TEXT", "Field", "require_records"]

_MAX_SIDE = 2**20
_MAX_SHOWN = 100


@dataclass(frozen=True)
class Field:
    """What a field may hold, in words, and the test of it."""

    must_be: str
    holds: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    """Whether it is a text that a table or a file's name can hold."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number; `true` is none."""
    return type(value) is int


def _is_side(value: Any) -> bool:
    """Whether it is a number of pixels."""
    return type(value) in (int, float) and 1 <= value <= _MAX_SIDE


def _is_path(value: Any) -> bool:
    """Whether it is a path that stays below the folder it starts in, but for links that its owner laid there."""
    if not _is_text(value) or any(sign < " " for sign in value):
        return False
    path = PurePosixPath(value)
    return path.name != "" and not path.is_absolute() and ".." not in path.parts


ID = Field("a whole number or a text", lambda value: _is_whole(value) or _is_text(value))
TEXT = Field("a text", _is_text)
CATEGORY = Field("a whole number", _is_whole)
SIDE = Field(f"a number of pixels from 1 to {_MAX_SIDE:,}", _is_side)
PATH = Field("a path that leads to a file below the folder of images, without ..", _is_path)


def require_records(
    records: Any, fields: Mapping[str, Field], source: Path, kind: str, *, required: tuple[str, ...] = ()
) -> None:
    """Raise SemrsmError unless it is a list of records whose fields, where they are given, hold what they must.

    Args:
        records: What a file holds.
        fields: Names of fields, and what each must hold; a field that is null counts as not given.
        source: The file.
        kind: What the list is called there.
        required: Fields that must be given.
    """
    if not isinstance(records, list):
        raise SemrsmError(f"{source}: {kind} must be a list, got {_shown(records)}")
    for i, record in enumerate(records):
        place = f"{source}: {kind}[{i}]"
        if not isinstance(record, dict):
            raise SemrsmError(f"{place} must be an object with the fields {', '.join(fields)}, got {_shown(record)}")
        for name, field in fields.items():
            value = record.get(name)
            if value is None and name in required:
                raise SemrsmError(f"{place} is without {name!r}: {_shown(record)}")
            if value is not None and not field.holds(value):
                raise SemrsmError(f"{place} has {name!r}: {_shown(value)}; it must be {field.must_be}")


def _shown(value: Any) -> str:
    """The beginning of a value as JSON has it, on one line."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "what is nested too deeply"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} ..."
