"""The numbers printed in the paper, to compare with ours."""

from importlib.resources import files

import pandas as pd

__all__ = ["NOTES", "join_paper", "paper_table"]

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


def paper_table(number: int) -> pd.DataFrame:
    """Table `number` of the paper, one row per number."""
    source = files("semrsm_cli.report").joinpath("printed", f"{_TABLES[number]}.csv")
    with source.open(encoding="utf-8") as file:
        return pd.read_csv(file)


def join_paper(ours: pd.DataFrame, theirs: pd.DataFrame, *, on: list[str], columns: dict[str, str]) -> pd.DataFrame:
    """Our rows with the paper's numbers in new columns, empty where the paper has none.

    Args:
        ours: Our table; its rows keep their order.
        theirs: The paper's, with the same keys.
        on: Columns that both share; a missing key of theirs meets a missing one of ours.
        columns: Names of the paper's columns, and what they are called beside ours.
    """
    return ours.merge(theirs[[*on, *columns]].rename(columns=columns), on=on, how="left")
