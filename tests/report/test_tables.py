"""Tables for files and for the terminal."""

import numpy as np
import pandas as pd

from semrsm_cli.report.tables import to_csv, to_latex, to_markdown, to_terminal

FRAME = pd.DataFrame(
    {"model": ["A_1", "A_1"], "auc": [0.98765, np.nan], "n": [10, 20], "gap": [1.234e-7, 0.0]},
)


def test_csv_keeps_ten_digits_and_reads_back() -> None:
    frame = pd.DataFrame({"value": [1 / 3, 2e-9]})
    assert to_csv(frame) == "value\n0.3333333333\n2e-09\n"


def test_markdown_rounds_and_leaves_missing_values_empty() -> None:
    lines = to_markdown(FRAME).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["A_1", "0.988", "10", "1.23e-07"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["A_1", "", "20", "0.000"]


def test_latex_escapes_and_has_rules() -> None:
    latex = to_latex(FRAME.rename(columns={"n": "n_pairs"}))
    assert r"A\_1" in latex
    assert r"n\_pairs" in latex
    assert r"\toprule" in latex


def test_terminal_names_constants_once_and_fits_the_width(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = to_terminal(FRAME)
    assert text.splitlines()[0] == "model A_1"
    assert text.count("A_1") == 1
    assert max(map(len, text.splitlines())) <= 80
