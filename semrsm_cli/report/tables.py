"""A table as CSV, Markdown, LaTeX, and as lines for a terminal."""

import os
import re
import shutil
import sys
from collections.abc import Callable

import pandas as pd

__all__ = ["FORMATS", "to_csv", "to_latex", "to_markdown", "to_terminal"]

_DIGITS = 3
_NARROWEST = 80
_UNBROKEN = 100_000
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
_MARKDOWN = re.compile(r"[|<>`]|(?<=\])\(")  # the end of a cell, HTML, code, the target of a link or picture


def to_csv(frame: pd.DataFrame, note: str = "") -> str:
    """The table with ten significant digits: the last bits of a float depend on the machine; a CSV has no notes."""
    return _flatten(frame).to_csv(index=False, float_format="%.10g", lineterminator="\n")


def to_markdown(frame: pd.DataFrame, note: str = "") -> str:
    """The table for a README, and a note below."""
    below = f"\n{_escape_markdown(note)}\n" if note else ""
    shown = _flatten(_blank_repeats(_format_cells(frame))).map(_escape_markdown)
    shown.columns = [_escape_markdown(str(column)) for column in shown.columns]
    return shown.to_markdown(index=False, disable_numparse=True) + "\n" + below


def to_latex(frame: pd.DataFrame, note: str = "") -> str:
    """The table for a paper, with booktabs rules and columns in groups where it has groups, and a note below."""
    style = _blank_repeats(_format_cells(frame)).style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    below = f"\n\\smallskip\\par{{\\footnotesize {_escape_latex(note)}}}\n" if note else ""
    return str(style.to_latex(hrules=True, multicol_align="c")) + below


def to_terminal(frame: pd.DataFrame) -> str:
    """The table as aligned lines; columns that hold one value only become a line above it.

    A table of one row has such columns only: it stays a table where the width allows. Lines are as wide as the
    terminal; in a pipe or a file they are not broken.
    """
    frame = _flatten(frame)
    shown = _format_cells(frame)
    width = _width()
    if len(frame) == 1 and max(map(len, shown.to_string(index=False).splitlines())) <= width:
        constant = []
    else:
        constant = [column for column in frame if frame[column].nunique(dropna=False) == 1]
    head = [f"{column} {shown[column].iloc[0]}" for column in constant if shown[column].iloc[0]]
    body = shown.drop(columns=constant)
    lines = _wrap(head, width)
    if len(body.columns):
        lines += body.to_string(index=False, line_width=width).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _width() -> int:
    """Characters on a line: those of the terminal, or of COLUMNS; all where a program reads on."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return _UNBROKEN
    return max(shutil.get_terminal_size((_NARROWEST, 24)).columns, _NARROWEST)


def _wrap(words: list[str], width: int) -> list[str]:
    """`words` joined by commas into lines of at most `width` characters."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 2 <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines


def _flatten(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with one line of column names: `5000 none` where `none` stood in the group 5000."""
    if frame.columns.nlevels == 1:
        return frame
    return frame.set_axis([" ".join(filter(None, map(str, levels))) for levels in frame.columns], axis="columns")


def _blank_repeats(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with groups of columns, whose leading columns, those without a group, say a name once and not below."""
    if frame.columns.nlevels == 1:
        return frame
    shown = frame.copy()
    leading = frame.columns[frame.columns.get_level_values(1) == ""]
    same = pd.Series(True, index=frame.index)
    for column in leading:
        same &= frame[column] == frame[column].shift()
        shown[column] = frame[column].mask(same, "")
    return shown


def _escape_latex(text: str) -> str:
    """A text with the characters that LaTeX takes for commands escaped."""
    return _one_line(text).translate(_LATEX)


def _escape_markdown(text: str) -> str:
    """A text with the characters that would end its cell, or that a browser takes for more than text, as numbers."""
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", _one_line(text))


def _one_line(text: str) -> str:
    """A text without line breaks."""
    return re.sub(r"[\r\n]+", " ", text)


def _format_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text: floats with three significant digits (at least three decimals where below one)."""
    return frame.map(_format_cell)


def _format_cell(value: object) -> str:
    """One value as text on one line; a missing one as nothing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if not isinstance(value, float):
        return _one_line(str(value))
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{_DIGITS}f}"
    return f"{value:.{_DIGITS}g}"


FORMATS: dict[str, Callable[[pd.DataFrame, str], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
