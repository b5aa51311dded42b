"""A table as CSV, Markdown, LaTeX, and as lines for a terminal."""

import shutil
from collections.abc import Callable

import pandas as pd

__all__ = ["FORMATS", "to_csv", "to_latex", "to_markdown", "to_terminal"]

DIGITS = 3
NARROWEST = 80


def to_csv(frame: pd.DataFrame, note: str = "") -> str:
    """The table with ten significant digits: the last bits of a float depend on the machine; a CSV has no notes."""
    return flat(frame).to_csv(index=False, float_format="%.10g", lineterminator="\n")


def to_markdown(frame: pd.DataFrame, note: str = "") -> str:
    """The table for a README, and a note below."""
    below = f"\n{note}\n" if note else ""
    return flat(without_repeats(rounded(frame))).to_markdown(index=False, disable_numparse=True) + "\n" + below


def to_latex(frame: pd.DataFrame, note: str = "") -> str:
    """The table for a paper, with booktabs rules and columns in groups where it has groups, and a note below."""
    style = without_repeats(rounded(frame)).style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    below = f"\n\\smallskip\\par{{\\footnotesize {escaped(note)}}}\n" if note else ""
    return str(style.to_latex(hrules=True, multicol_align="c")) + below


def to_terminal(frame: pd.DataFrame) -> str:
    """The table as aligned lines; columns that hold one value only become a line above it.

    A table of one row has such columns only: it stays a table where the width allows.
    """
    frame = flat(frame)
    shown = rounded(frame)
    width = max(shutil.get_terminal_size((NARROWEST, 24)).columns, NARROWEST)
    if len(frame) == 1 and max(map(len, shown.to_string(index=False).splitlines())) <= width:
        constant = []
    else:
        constant = [column for column in frame if frame[column].nunique(dropna=False) == 1]
    head = [f"{column} {shown[column].iloc[0]}" for column in constant if shown[column].iloc[0]]
    body = shown.drop(columns=constant)
    lines = wrapped(head, width)
    if len(body.columns):
        lines += body.to_string(index=False, line_width=width).splitlines()
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


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with one line of column names: `5000 none` where `none` stood in the group 5000."""
    if frame.columns.nlevels == 1:
        return frame
    return frame.set_axis([" ".join(filter(None, map(str, levels))) for levels in frame.columns], axis="columns")


def without_repeats(frame: pd.DataFrame) -> pd.DataFrame:
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


def escaped(text: str) -> str:
    """A text with the characters that LaTeX takes for commands escaped."""
    return "".join(f"\\{character}" if character in "&%$#_{}" else character for character in text)


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


FORMATS: dict[str, Callable[[pd.DataFrame, str], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
