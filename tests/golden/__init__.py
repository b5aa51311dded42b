"""The main numbers of the default runs, to six digits, and the versions of the stages that gave them."""

import json
from pathlib import Path

import pandas as pd

GOLDEN = Path(__file__).parent
VERSIONS_FILE = GOLDEN / "versions.json"
TABLES = {
    "translate": ("separation", ("overlapping_mean", "unrelated_mean", "auc")),
    "retrieve": ("retrieval", ("at_1", "ci_low", "ci_high", "best_of_5")),
    "correlate": ("correlation", ("pearson", "pearson_low", "pearson_high", "spearman")),
    "cka": ("consistency", ("cka",)),
}
"""For each task the table that is watched, and its numbers."""
_SIXTH_DIGIT = 1e-5
_NAMES = ("model", "dataset", "layer", "kernel", "invariance")


def golden_numbers(task: str, run: Path) -> pd.DataFrame:
    """The watched numbers in the folder of a default run, and the names that tell its rows apart."""
    table, numbers = TABLES[task]
    rows = pd.read_csv(run / "tables" / f"{table}.csv", keep_default_na=False, na_values=[""])
    return rows[[name for name in (*_NAMES, *numbers) if name in rows]]


def read_golden(task: str) -> pd.DataFrame:
    """The numbers that a task is known to give."""
    return pd.read_csv(GOLDEN / f"{task}.csv", keep_default_na=False, na_values=[""])


def read_versions() -> dict[str, int]:
    """The versions of the stages that gave these numbers."""
    versions: dict[str, int] = json.loads(VERSIONS_FILE.read_text(encoding="utf-8"))
    return versions


def differences(task: str, numbers: pd.DataFrame) -> list[str]:
    """What is not as it is known to be, one line each; numbers agree when six digits do, and new ones are welcome."""
    known = read_golden(task)
    names = [name for name in _NAMES if name in known]
    lacking = known.columns.difference(numbers.columns)
    if len(lacking):
        return [f"{task}: the column {lacking[0]} is gone"]
    now = numbers.set_index(names)
    lines = []
    for row, before in known.set_index(names).iterrows():
        if row not in now.index:
            lines.append(f"{task}: the row {' '.join(map(str, row))} is gone")
            continue
        lines += [
            f"{task}, {' '.join(map(str, row))}: {column} is {now.loc[row, column]:.6g}, and was {value:.6g}"
            for column, value in before.items()
            if not abs(value - now.loc[row, column]) <= _SIXTH_DIGIT * abs(value)
        ]
    return lines
