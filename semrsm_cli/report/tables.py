"""A table as CSV, Markdown, LaTeX, and as lines for a terminal."""

import shutil
from collections.abc import Callable

import pandas as pd

__all__ = ["FORMATS", "to_csv", "to_latex", "to_markdown", "to_terminal"]

DIGITS = 3
NARROWEST = 80


def to_csv(frame: pd.DataFrame) -> str:
    """The table with ten significant digits: the last bits of a float depend on the machine."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def to_markdown(frame: pd.DataFrame) -> str:
    """The table for a README."""
    return rounded(frame).to_markdown(index=False, disable_numparse=True) + "\n"


def to_latex(frame: pd.DataFrame) -> str:
    """The table for a paper, with booktabs rules."""
    style = rounded(frame).style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    return str(style.to_latex(hrules=True))


def to_terminal(frame: pd.DataFrame) -> str:
    """The table as aligned lines; columns that hold one value only become a line above it."""
    constant = [column for column in frame if len(frame) > 1 and frame[column].nunique(dropna=False) == 1]
    shown = rounded(frame)
    head = [f"{column} {shown[column].iloc[0]}" for column in constant if shown[column].iloc[0]]
    body = shown.drop(columns=constant)
    width = max(shutil.get_terminal_size((NARROWEST, 24)).columns, NARROWEST)
    lines = wrapped(head, width) + body.to_string(index=False, line_width=width).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def wrapped(words: list[str], width: int) -> list[str]:
    """`words` joined by commas into lines of at most `width` characters."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 2 <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text: floats with three significant digits (at least three decimals where below one)."""
    return frame.map(cell)


def cell(value: object) -> str:
    """One value as text; a missing one as nothing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{DIGITS}f}"
    return f"{value:.{DIGITS}g}"


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
