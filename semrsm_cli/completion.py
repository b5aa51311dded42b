"""What a shell offers behind `semrsm TASK`: config groups, their options, settings, and the values they may have."""

from collections.abc import Iterator, Sequence
from enum import Enum
from glob import escape
from pathlib import Path
from textwrap import shorten
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from semrsm_cli.composition import Composition, compose
from semrsm_cli.config.arguments import actions
from semrsm_cli.config_help import settings
from semrsm_cli.errors import ConfigError

__all__ = ["complete", "join_words"]

_LONGEST = 60  # characters of a meaning, which stands beside its word on one line


def complete(task: str, words: Sequence[str], incomplete: str) -> list[tuple[str, str]]:
    """The words that may stand where `incomplete` does, each with its meaning.

    Names are offered with their equals sign. A name that is the only one comes twice, with and without its default, so
    that a shell neither ends the word nor hides the default.

    Args:
        task: The subcommand.
        words: The words before, which choose what is composed.
        incomplete: What was typed of the word.
    """
    try:
        composition = compose(task, words)
    except ConfigError:
        composition = compose(task)
    name, equals, value = incomplete.partition("=")
    if equals:
        start = value[: max(value.rfind(","), value.rfind("[")) + 1]  # of a list, the last one
        return [(f"{name}={start}{choice}", "") for choice in _values(composition, name, value.removeprefix(start))]
    offered = {f"{group}=": ", ".join(options) for group, options in composition.groups.items()}
    defaults = {f"{group}=": options[0] for group, options in composition.groups.items()}
    for key, default, meaning in settings(composition.config):
        offered[f"{key}="], defaults[f"{key}="] = meaning, default
    offered |= dict.fromkeys(actions(task), "")
    found = [(word, shorten(text, _LONGEST)) for word, text in offered.items() if word.startswith(incomplete)]
    if len(found) == 1 and found[0][0] in defaults:
        word, meaning = found[0]
        found = [(word, meaning), (f"{word}{defaults[word]}", "the default")]
    return found


def _values(composition: Composition, name: str, value: str) -> Iterator[str]:
    """What `name=` may be and begins with `value`: options of a group, members of an enumeration, or files."""
    options = composition.groups.get(name.partition("@")[0])
    choices = options if options is not None else _choices(_hint(composition.config, name))
    yield from (choice for choice in choices or () if choice.startswith(value))
    if choices is None:
        folder, slash, start = value.rpartition("/")
        for path in sorted(Path(folder + slash).glob(f"{escape(start)}*")):
            yield f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"


def _hint(config: DictConfig, name: str) -> Any:
    """The type of a setting such as `model.layers`."""
    parent, _, last = name.rpartition(".")
    group = OmegaConf.select(config, parent, throw_on_missing=False) if parent else config
    return get_type_hints(OmegaConf.get_type(group)).get(last) if isinstance(group, DictConfig) else None


def _choices(hint: Any) -> list[str] | None:
    """The values of a type that has few, also as elements of a list; None of a text, which may be a path."""
    if get_origin(hint) in (Union, UnionType, list):
        found = [_choices(kind) for kind in get_args(hint) if kind is not type(None)]
        return None if None in found else [choice for choices in found for choice in choices or ()]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [str(member) for member in hint]
    if hint is bool:
        return ["true", "false"]
    return None if hint is str else []


def join_words(words: Sequence[str], incomplete: str) -> tuple[list[str], str]:
    """Words as they were typed, from those that bash makes of them: it cuts at `=` and `@`.

    Returns:
        The words before, and the one that is incomplete.
    """
    joined: list[str] = []
    is_open = False
    for word in (*words, incomplete):
        if joined and (is_open or word in ("=", "@")):
            joined[-1] += word
        else:
            joined.append(word)
        is_open = word in ("=", "@")
    return joined[:-1], joined[-1]
