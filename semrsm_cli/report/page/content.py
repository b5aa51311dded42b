"""What stands on the page: tables, figures and sections, as the template reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Bar",
    "Card",
    "Cell",
    "Column",
    "Figure",
    "HeatMap",
    "ResultTable",
    "Section",
    "interval_text",
    "number_text",
    "title_of",
]

_TITLES = {
    "none": "position by position",
    "translation": "translation",
    "pooled": "pooled",
    "maxsim": "MaxSim",
    "permutation": "semantic (PI)",
    "cosine": "cosine",
    "linear": "linear",
    "rbf": "RBF",
}
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by, and of a number its interval, the printed one and the verdict."""

    text: str
    order: str = ""
    interval: str = ""
    printed: str = ""
    verdict: str = ""
    spread: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its name, the name of its group, and whether it holds numbers."""

    name: str
    group: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class ResultTable:
    """A table that is sorted by its heads and filtered by its leading columns.

    Attributes:
        id: What links point to.
        caption: What it shows.
        columns: The columns, those of one group beside each other.
        rows: The rows.
        note: What is to be said below it.
        files: Addresses of its twins in other formats.
    """

    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    files: Sequence[str] = ()

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups with how many columns each has; without a name for columns of none."""
        groups: list[tuple[str, int]] = []
        for column in self.columns:
            if groups and column.group and groups[-1][0] == column.group:
                groups[-1] = column.group, groups[-1][1] + 1
            else:
                groups.append((column.group, 1))
        return groups

    @property
    def has_groups(self) -> bool:
        """Whether any column is in a group."""
        return any(column.group for column in self.columns)

    @property
    def filters(self) -> list[tuple[int, str, list[str]]]:
        """The leading columns with several values: place, name and values."""
        found = []
        for place, column in enumerate(self.columns):
            values = list(dict.fromkeys(row[place].text for row in self.rows))
            if not column.is_number and 1 < len(values) < max(2, len(self.rows)):
                found.append((place, column.name, values))
        return found


@dataclass(frozen=True)
class Figure:
    """A picture with its address (the picture itself, as text), size, alternative text, caption and origin."""

    src: str
    width: int
    height: int
    alt: str
    caption: str
    origin: str
    is_photograph: bool = False


@dataclass(frozen=True)
class Bar:
    """A number beside another: name, text, length in percent of the longer one, and whether it is the semantic one."""

    name: str
    text: str
    percent: float
    is_semantic: bool


@dataclass(frozen=True)
class Card:
    """A finding: its name, a word on how it stands, a sentence with the numbers, what it links to, and its bars."""

    title: str
    status: str
    text: str
    link: str = ""
    measure: str = ""
    bars: Sequence[Bar] = ()


@dataclass(frozen=True)
class HeatMap:
    """A matrix whose cells are named.

    Attributes:
        id: What links point to.
        title: What it shows.
        choices: The matrices to choose from: `name`, `values` [n, m], `low` and `high`, the colours' ends, and
            `row_names` and `column_names` where they differ from choice to choice.
        row_names: What each row is called.
        column_names: What each column is called.
        row_title: What a row is.
        column_title: What a column is.
        value_title: What a value is.
        pictures: A picture of each row and column; empty for none.
        summary: The finding in a sentence, for those who do not see it.
        note: What was left out.
        is_logarithmic: Whether colours follow the values' logarithms.
    """

    id: str
    title: str
    choices: Sequence[dict[str, Any]]
    row_names: Sequence[str]
    column_names: Sequence[str]
    row_title: str
    column_title: str
    value_title: str
    pictures: Sequence[str] = ()
    summary: str = ""
    note: str = ""
    is_logarithmic: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        names = (
            *("choices", "row_names", "column_names", "row_title", "column_title", "value_title", "pictures"),
            "is_logarithmic",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Section:
    """One experiment.

    Attributes:
        id: What links point to.
        title: Its name.
        place: Where the paper has it.
        question: What is asked, for those who have not read the paper.
        answer: What came out, in a sentence.
        tables: Its tables.
        heat_maps: Its heat maps.
        galleries: Data of its galleries.
        figures: Its figures that are drawn.
        photographs: Its figures of photographs.
        notes: What was left out of the page.
        commands: The commands that made it.
    """

    id: str
    title: str
    place: str
    question: str
    answer: str
    tables: Sequence[ResultTable] = ()
    heat_maps: Sequence[HeatMap] = ()
    galleries: Sequence[Mapping[str, Any]] = ()
    figures: Sequence[Figure] = ()
    photographs: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()


def number_text(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """A number with so many decimals and a true minus sign; nothing for none."""
    if value is None or np.isnan(value):
        return ""
    rounded = round(float(value), digits) + 0.0  # no minus before zero
    return f"{rounded:{'+' if sign else ''}.{digits}f}".replace("-", _MINUS)


def interval_text(low: float, high: float, digits: int = 3, *, sign: bool = False) -> str:
    """An interval in brackets; nothing where there is none."""
    if np.isnan(low) or np.isnan(high):
        return ""
    return f"[{number_text(low, digits, sign=sign)}, {number_text(high, digits, sign=sign)}]"


def title_of(name: str) -> str:
    """What an invariance or kernel is called on the page."""
    return _TITLES.get(name, name)
