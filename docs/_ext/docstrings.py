"""Docstrings as they are written here, in the words that Sphinx reads.

They are plain text with code in single backticks, and a colon in `Returns:` ends no type.
"""

import re
from typing import Any

from sphinx.application import Sphinx

__all__ = ["setup", "translate"]

_BEFORE_NAPOLEON = 400
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_BARS = re.compile(r"(?<![\w`\\])\|(?=\w)")  # |x|, which would be a substitution
_ERROR = re.compile(r"^(\s+)(SemrsmError|ConfigError):")
_NOTHING = "\\ "


def translate(lines: list[str], what: str) -> list[str]:
    """The lines of a docstring of a function, class or attribute as reStructuredText with Google's sections."""
    translated = [_NOTHING] if what == "attribute" else []  # else what stands before a colon counts as a type
    for line in lines:
        parts = re.split(r"(`[^`]+`)", line)
        parts = [_CODE.sub(r"``\1``", part) if part[:1] == "`" else _BARS.sub(r"\\|", part) for part in parts]
        translated.append(_ERROR.sub(r"\1~semrsm_cli.errors.\2:", "".join(parts)))
        if line.strip() == "Returns:":
            translated.append(line.replace("Returns:", f"    {_NOTHING}"))
    return translated


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What autodoc calls."""
    lines[:] = translate(lines, what)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("autodoc-process-docstring", _process, priority=_BEFORE_NAPOLEON)
    return {"parallel_read_safe": True}
