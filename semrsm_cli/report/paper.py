"""The numbers printed in the paper, and the runs that they were printed for."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd

__all__ = [
    "CITYSCAPES_DATABASE",
    "METHODS",
    "NOTES",
    "OPEN_CHOICES",
    "PRINTED_KEYS",
    "join_paper",
    "paper_table",
    "printed_numbers",
    "table_printed_for",
    "windowed",
]

_TABLES = {
    1: "table1_jsd_correlation_2k",
    2: "table2_egoobjects_f1",
    3: "table3_cityscapes_iou",
    4: "table4_jsd_correlation_20k",
    5: "table5_matching_runtime",
}

NOTES = {
    1: "The paper prints +0.176 for ResNet18, rbf, none; its twin in Table 4 is -0.174, so the sign is most likely "
    "lost in print. It stands here as printed."
}
"""Notes below a table that shows these numbers."""

CITYSCAPES_DATABASE = 2975
"""Images that Table 3 looks among."""

_AS_PUBLISHED = {"model.weights": "pretrained", "centering": "sample", "sigma": None}
_PRINTED_FOR: dict[int, dict[str, Any]] = {
    1: {"dataset.name": "imagenet", "n_images": 2000} | _AS_PUBLISHED,
    2: {"dataset.name": "egoobjects", "dataset.n_queries": 2000, "shortlist": None, "query_size": None} | _AS_PUBLISHED,
    3: {"dataset.name": "cityscapes", "shortlist": None, "query_size": None} | _AS_PUBLISHED,
    4: {"dataset.name": "imagenet", "n_images": 20000} | _AS_PUBLISHED,
    5: {"dataset.name": "tiny_imagenet", "model.label": "ResNet101", "centering": "none"},
}
"""What a table says of its runs, beside what stands in their rows."""
_NUMBERS: dict[int, tuple[str, int | None]] = {
    1: ("pearson", 2000),
    2: ("f1_at_1", None),
    3: ("iou_at_1", CITYSCAPES_DATABASE),
    4: ("value", 20000),
    5: ("similarity_percent_of_optimal", None),
}
"""For each table the column of its numbers, and the number of images or positions where no column tells it."""
PRINTED_KEYS = ("table", "model", "kernel", "invariance", "method", "size", "statistic")
"""What tells one printed number from another."""
METHODS = {"OR-Tools": "ortools_x1000", "SciPy": "scipy", "No match": "diagonal", "Batch-Optimal": "batch_optimal"}
"""What Table 5's methods are called here, where that differs; OR-Tools as the authors call it."""
_WINDOW = 512  # of Batch-Optimal, in Tables 1 to 4; so many positions or fewer are matched optimally
_OPTIMAL = frozenset({"optimal", "scipy", "ortools", "lapjv", "lapx", "lapcpp"})

OPEN_CHOICES = (
    *("model.name", "model.readout", "model.cls_token", "model.framing", "centering", "sigma_tile", "image_order"),
    *("dataset.aspect_ratio", "dataset.class_set", "dataset.split", "resample_by", "seconds_per_cell"),
)
"""Settings on which the paper is silent, as far as a task has them."""


def table_printed_for(*numbers: int, settings: Mapping[str, Any], positions: int = 0) -> tuple[int | None, bool]:
    """Which of the paper's tables prints numbers for a run.

    Args:
        numbers: The tables that the task could fill.
        settings: The run's settings by their whole names.
        positions: Positions of an image, for the tables that compare matched images.

    Returns:
        The table's number, None if none does; and whether the run matches as the paper does, by Batch-Optimal with a
        window of 512, so that rows with permutations may be compared too.
    """
    number = next((number for number in numbers if _is_printed_for(number, settings)), None)
    method, window = settings.get("matching.method"), settings.get("matching.batch")
    as_published = method == "batch_optimal" and window == _WINDOW
    return number, as_published or (method in _OPTIMAL and positions <= _WINDOW)


def _is_printed_for(number: int, settings: Mapping[str, Any]) -> bool:
    return all(settings.get(name) == value for name, value in _PRINTED_FOR[number].items())


def paper_table(number: int) -> pd.DataFrame:
    """Table `number` of the paper, one row per number."""
    return _read(number)


def _read(number: int, *, text: str | None = None) -> pd.DataFrame:
    """Table `number`; the column `text` as it is printed, with all its digits."""
    source = files("semrsm_cli.report").joinpath("printed", f"{_TABLES[number]}.csv")
    with source.open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={} if text is None else {text: str})


def printed_numbers() -> pd.DataFrame:
    """Every number that Tables 1 to 5 print, one a row; of Table 5 the similarities, since times are of one machine.

    Returns:
        Columns table, model, kernel, invariance, method, size (of database, sample or map), statistic, printed, and
        `rounding`, half a unit of the last printed digit.
    """
    parts = []
    for number, (value, size) in _NUMBERS.items():
        frame = _read(number, text=value).rename(columns={"database_size": "size", "spatial_extent": "size"})
        if number == 5:
            model = _PRINTED_FOR[number]["model.label"]
            frame = frame.assign(
                model=model,
                method=windowed(frame["algorithm"].replace(METHODS), frame["batch"]),
                kernel="",
                invariance="",
            )
        part = {"table": number, "method": "", "size": size, "statistic": value} | dict(frame)
        decimals = frame[value].str.partition(".")[2].str.len().max()  # the files leave out zeros at the end
        part |= {"printed": frame[value].astype(float), "rounding": 0.5 * 10.0**-decimals}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)[[*PRINTED_KEYS, "printed", "rounding"]]


def windowed(methods: pd.Series, windows: pd.Series) -> pd.Series:
    """Methods with their windows where they have one, such as `batch_optimal(512)`."""
    labels = [
        str(method) if pd.isna(window) else f"{method}({window:.0f})"
        for method, window in zip(methods, windows, strict=True)
    ]
    return pd.Series(labels, index=methods.index, dtype=str)


def join_paper(ours: pd.DataFrame, theirs: pd.DataFrame, *, on: list[str], columns: dict[str, str]) -> pd.DataFrame:
    """Our rows with the paper's numbers in new columns, empty where the paper has none.

    Args:
        ours: Our table; its rows keep their order.
        theirs: The paper's, with the same keys.
        on: Columns that both share; a missing key of theirs meets a missing one of ours.
        columns: Names of the paper's columns, and what they are called beside ours.
    """
    return ours.merge(theirs[[*on, *columns]].rename(columns=columns), on=on, how="left")
