"""Whether our numbers agree with the printed ones, one by one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.report.differences import Settings, value_text
from semrsm_cli.report.paper import OPEN_CHOICES, PRINTED_KEYS, printed_numbers, windowed

__all__ = ["AGREES", "AGREES_WITH_ALL", "DIFFERS", "NOT_RUN", "count_verdicts", "judge", "verdicts_table"]

AGREES, DIFFERS, NOT_RUN = "agrees", "differs", "not run"
AGREES_WITH_ALL = "agrees_with_all"
_KEYS = list(PRINTED_KEYS)
_CELL = ["ours", "low", "high", "n"]


def verdicts_table(joined: Mapping[str, pd.DataFrame], settings: Settings) -> pd.DataFrame:
    """The verdict on each number that Tables 1 to 5 print: one line for each setting that it was run with.

    A number `agrees` if it lies within our interval, or ours within its rounding. Of several draws the means are taken,
    of the intervals' ends too, as the paper drew once.

    Args:
        joined: The joined rows of each table, by its name; those with a printed number beside them are compared.
        settings: The settings that the column `settings` stands for.

    Returns:
        Columns `PRINTED_KEYS`, printed, ours, low, high, n, draws, verdict, and settings: the open choices as made.
    """
    cells = [cell for name, rows in joined.items() if not rows.empty for cell in _cells_of(name, rows)]
    run = pd.concat(cells) if cells else pd.DataFrame(columns=[*_KEYS, "settings", "seed", *_CELL])
    groups = run.groupby([*_KEYS, "settings"], sort=False)
    ours = groups[_CELL].mean().assign(draws=groups["seed"].nunique()).reset_index()
    table = printed_numbers().merge(ours, on=_KEYS, how="left")
    table["verdict"] = [
        judge(*cell)
        for cell in zip(*(table[name] for name in ("ours", "low", "high", "printed", "rounding")), strict=True)
    ]
    table["settings"] = [_open_choices(identity, settings) for identity in table["settings"]]
    return table[[*_KEYS, "printed", *_CELL, "draws", "verdict", "settings"]]


def _cells_of(name: str, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of table `name` that a number is printed for, in the words of `printed_numbers`."""
    match name:
        case "retrieval":
            cells = rows[rows["paper"].notna()].rename(columns={"at_1": "ours", "ci_low": "low", "ci_high": "high"})
            cells = cells.rename(columns={"n_database": "size", "n_queries": "n"})
            is_table_3 = cells["dataset"] == "cityscapes"
            statistics = is_table_3.map({True: "iou_at_1", False: "f1_at_1"})
            yield cells.assign(table=is_table_3.map({True: 3, False: 2}), statistic=statistics, method="")
        case "correlation":
            for statistic in ("pearson", "spearman"):
                cells = rows[rows[f"paper_{statistic}"].notna()]
                cells = cells.rename(columns={f"{statistic}_low": "low", f"{statistic}_high": "high"})
                cells = cells.rename(columns={statistic: "ours", "n_samples": "n"})
                table = cells["n"].map({2000: 1, 20000: 4})
                yield cells.assign(table=table, size=cells["n"], statistic=statistic, method="")
        case "matching":
            cells = rows[rows["paper_percent"].notna()].rename(
                columns={"positions": "size", "percent_of_optimal": "ours", "n_pairs": "n"}
            )
            cells = cells.rename(columns={"percent_low": "low", "percent_high": "high"})
            cells = cells.assign(table=5, method=windowed(cells["method"], cells["batch"]), kernel="", invariance="")
            yield cells.assign(statistic="similarity_percent_of_optimal")


def judge(ours: float, low: float, high: float, printed: float, rounding: float) -> str:
    """The verdict on a printed number: it agrees within our interval [low, high], or with ours within its rounding.

    Args:
        ours: Our number; NaN where it was not run.
        low: Lower end of its interval; NaN for none.
        high: Upper end.
        printed: The paper's.
        rounding: Half a unit of its last digit.

    Returns:
        `agrees`, `differs` or `not run`.
    """
    if np.isnan(ours):
        return NOT_RUN
    return AGREES if low <= printed <= high or abs(ours - printed) <= rounding * (1 + 1e-9) else DIFFERS


def _open_choices(identity: Any, settings: Settings) -> str:
    """How a run chose where the paper is silent."""
    if pd.isna(identity):
        return ""
    chosen = settings[identity.partition("/")[0]]
    return ", ".join(f"{name.rpartition('.')[2]}={value_text(chosen[name])}" for name in OPEN_CHOICES if name in chosen)


def count_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How many numbers of each table agree, differ, and were not run.

    A number that was run with several settings agrees if it does with one of them, since the paper is silent on which;
    `AGREES_WITH_ALL` counts those that do with each.
    """
    groups = verdicts.groupby(_KEYS, sort=False)["verdict"]
    table = pd.DataFrame(
        {
            AGREES: groups.agg(lambda each: AGREES in set(each)),
            DIFFERS: groups.agg(lambda each: set(each) == {DIFFERS}),
            NOT_RUN: groups.agg(lambda each: set(each) == {NOT_RUN}),
            AGREES_WITH_ALL: groups.agg(lambda each: set(each) == {AGREES}),
        }
    )
    return table.groupby("table").sum().reset_index()
