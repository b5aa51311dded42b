"""The directive `settings`: what a task or a group of settings may be given, read from its dataclass.

```{settings} retrieve        the settings of `semrsm retrieve` alone
```{settings} model           the settings of a group that tasks share, and its presets
```{settings} dataset/folder  the settings of one data set
```{settings} experiment      the presets of a group that has no settings of its own
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import omegaconf
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from semrsm_cli.cluster import ClusterConfig
from semrsm_cli.config import KernelConfig, ModelConfig, RuntimeConfig
from semrsm_cli.config.schemas import TASKS
from semrsm_cli.config_help import field_docstrings
from semrsm_cli.data import DATASETS
from semrsm_cli.models.recipe import Recipe
from semrsm_cli.rsm import Matcher

__all__ = ["GROUPS", "presets", "reference_of", "setup"]

GROUPS: dict[str, type] = {
    "cluster": ClusterConfig,
    "kernel": KernelConfig,
    "matching": Matcher,
    "model": ModelConfig,
    "recipe": Recipe,
    "runtime": RuntimeConfig,
    **{f"dataset/{name}": kind for name, kind in DATASETS.items()},
}
"""Settings that several tasks share, by the folder of their presets."""

_CONF = Path(__file__).parents[2] / "conf"
_NOT_SET = ("name",)  # of a data set: its preset names it


def reference_of(what: str) -> str:
    """The entry for a task, a group or the presets of a group, in MyST Markdown."""
    if what in TASKS:
        return "\n".join(_definitions(TASKS[what], "")) + "\n"
    parts = []
    if what in GROUPS:
        parts += _definitions(GROUPS[what], what.split("/")[0])
    if "/" not in what and (names := presets(what)):
        parts += ["", "Presets:", "", *(f"- {_preset(what, name)}" for name in names)]
    return "\n".join(parts) + "\n"


def presets(group: str) -> list[str]:
    """What may be chosen for a group."""
    return sorted(path.stem for path in (_CONF / group).glob("*.yaml"))


def _definitions(schema: type, prefix: str) -> Iterator[str]:
    """Each setting with its values, its default and what it means; then the groups, with links to their settings."""
    meanings, hints = field_docstrings(schema), typing.get_type_hints(schema)
    for field in sorted(dataclasses.fields(schema), key=lambda field: _is_group(hints[field.name])):
        if prefix == "dataset" and field.name in _NOT_SET:
            continue
        name = f"{prefix}.{field.name}" if prefix else field.name
        facts = [_default(field), _values(hints[field.name])]
        if _is_group(hints[field.name]):
            group = field.name.removesuffix("_b")
            facts = [f"settings of the group [{group}](#{group})"]
        yield f"`{name}`"
        yield f": {meanings[field.name]}"
        yield f"  *{'; '.join(filter(None, facts))}*" if any(facts) else ""
        yield ""


def _is_group(hint: Any) -> bool:
    """Whether a setting has settings of its own."""
    return any(map(dataclasses.is_dataclass, _parts(hint)))


def _default(field: "dataclasses.Field[Any]") -> str:
    """The default of a setting, as one would type it."""
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value in (dataclasses.MISSING, omegaconf.MISSING):
        return "its preset gives it"
    return f"default `{_typed(value)}`"


def _typed(value: Any) -> str:
    """A value as it stands on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    return "null" if value is None else str(value)


def _values(hint: Any) -> str:
    """What the values are, where they can be counted: the members of an enumeration."""
    for part in _parts(hint):
        if isinstance(part, type) and issubclass(part, enum.Enum):
            return "one of " + ", ".join(f"`{member.value}`" for member in part)
    return ""


def _parts(hint: Any) -> Iterator[Any]:
    """A type, or those of a union or a list."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        for part in typing.get_args(hint):
            yield from _parts(part)
    else:
        yield hint


def _preset(group: str, name: str) -> str:
    """A preset with the comment at the head of its file."""
    lines = (_CONF / group / f"{name}.yaml").read_text().splitlines()
    said = []
    for line in lines:
        if not line.startswith("#") or line.startswith("#   semrsm "):  # commands follow, and what they need
            break
        if not line.startswith("# @"):
            said.append(line.removeprefix("#").strip())
    comment = " ".join(said).strip()
    return f"`{group}={name}`" + (f": {comment}" if comment else "")


class _Settings(SphinxDirective):
    """Put the reference in its place."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The entry as nodes; an unknown name is an error."""
        what = self.arguments[0]
        if not (text := reference_of(what).strip()):
            raise self.error(f"there are no settings {what}")
        return self.parse_text_to_nodes(text + "\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("settings", _Settings)
    return {"parallel_read_safe": True}
