"""What `semrsm TASK --help` says of the settings: groups with their options, then every key and its meaning."""

import ast
import inspect
import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

__all__ = ["field_docstrings", "is_structured", "settings", "settings_help"]

_WIDEST = 100
_MAY_BREAK = "\0"  # stands where a list may go on in the next line


def settings_help(groups: dict[str, list[str]], config: DictConfig) -> str:
    """The help text on config groups and settings, as wide as the terminal."""
    width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
    lines = ["Config groups, as in model=NAME:"]
    for group, options in groups.items():
        lines += _wrap(f"{group}: {', '.join(options)}", width, indent="  ", hang="      ")
    lines += ["", "Settings with their defaults, as in seed=3:"]
    for key, value, meaning in settings(config):
        broken = _wrap(f"{key}={value}".replace(",", f",{_MAY_BREAK} "), width, indent="  ", hang="      ")
        lines += [line.replace(f"{_MAY_BREAK} ", "").rstrip(_MAY_BREAK) for line in broken]
        lines += _wrap(meaning, width, indent="      ", hang="      ")
    return "\n".join(lines) + "\n"


def _wrap(text: str, width: int, *, indent: str, hang: str) -> list[str]:
    """`text` in lines of at most `width` characters."""
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=hang, break_on_hyphens=False)


def settings(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every setting; the task's own before those of its groups."""
    meanings = field_docstrings(OmegaConf.get_type(config) or object)
    nested = []
    for name in map(str, config):
        try:
            if not OmegaConf.is_missing(config, name) and is_structured(config, name):
                nested.append(name)
                continue
            default = "(required)" if OmegaConf.is_missing(config, name) else _show(config[name])
        except InterpolationToMissingValueError as error:  # says first: ... Missing mandatory value: model.name
            default = f"(follows from {str(error).splitlines()[0].rpartition(' ')[2]})"
        yield f"{prefix}{name}", default, meanings.get(name, "").replace("`", "")
    for name in nested:
        yield from settings(config[name], f"{prefix}{name}.")


def is_structured(config: DictConfig, name: str) -> bool:
    """Whether a setting is a group of settings with a dataclass of its own."""
    value = config[name]
    return isinstance(value, DictConfig) and OmegaConf.get_type(value) is not dict


def _show(value: Any) -> str:
    """A value as one would type it."""
    if OmegaConf.is_config(value):
        return json.dumps(OmegaConf.to_container(value, enum_to_str=True), separators=(",", ":")).replace('"', "")
    return "null" if value is None else str(value)


def field_docstrings(schema: type) -> dict[str, str]:
    """What stands below each field of a dataclass, its ancestors' included; Python does not keep them."""
    texts: dict[str, str] = {}
    for ancestor in reversed(schema.__mro__[:-1]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(ancestor))).body
        assert isinstance(definition, ast.ClassDef)
        for statement, text in zip(definition.body, definition.body[1:], strict=False):
            match statement, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                    texts[name] = " ".join(meaning.split())
    return texts
