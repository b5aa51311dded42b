"""What a user types for a setting, as Hydra takes it."""

import re
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from semrsm_cli.config.schemas import TASKS

__all__ = ["actions", "as_override"]

_WORD = re.compile(r"\w[\w.-]*")


def actions(task: str) -> tuple[str, ...]:
    """What a task can be told to do by one word, such as `check`; none for most."""
    return tuple(map(str, get_type_hints(TASKS[task]).get("action", ())))


def as_override(task: str, argument: str) -> str:
    """`check` as `action=check`, and another word as `name=WORD`, where the task has these; `x=FILE` as `x=[FILE]`."""
    if argument in actions(task):
        return f"action={argument}"
    if actions(task) and "name" in get_type_hints(TASKS[task]) and _WORD.fullmatch(argument):
        return f"name={argument}"
    return _as_list(task, argument)


def _as_list(task: str, argument: str) -> str:
    """One value of a list, also of a sweep, need not be bracketed."""
    key, equals, value = argument.partition("=")
    if not equals or value in ("", "null") or not _is_list(TASKS[task], key.lstrip("+")):
        return argument
    try:
        override = OverridesParser.create().parse_override(argument)
        values = list(override.sweep_string_iterator()) if override.is_sweep_override() else [value]
    except HydraException:  # Hydra says it itself, of what was typed
        return argument
    return f"{key}={','.join(one if one[0] in '[$' else f'[{one}]' for one in values)}"


def _is_list(schema: type, key: str) -> bool:
    """Whether a setting, such as `model.layers`, is a list."""
    first, _, rest = key.partition(".")
    hint = get_type_hints(schema).get(first)
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if rest:
        return any(isinstance(kind, type) and _is_list(kind, rest) for kind in kinds)
    return any(get_origin(kind) is list for kind in kinds)
