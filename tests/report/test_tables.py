"""Tables for files and for the terminal."""

import re

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


def test_terminal_writes_one_row_as_a_table_where_it_fits(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row = pd.DataFrame({"model": ["A_1"], "auc": [0.5]})
    assert to_terminal(row).splitlines() == ["model   auc", "  A_1 0.500"]
    wide = row.assign(key="k" * 70, n=3)
    assert to_terminal(wide).splitlines() == ["model A_1, auc 0.500", f"key {'k' * 70}, n 3"]
    assert to_terminal(FRAME.drop(columns=["auc", "n", "gap"])) == "model A_1"


GROUPED = pd.DataFrame(
    [["A", "here", 0.5, 0.75], ["A", "paper", 0.25, 0.5], ["B", "here", 1.0, np.nan]],
    columns=pd.MultiIndex.from_tuples([("model", ""), ("source", ""), ("50", "none"), ("50", "PI")]),
)


def test_groups_of_columns_are_one_line_in_csv_and_two_in_latex() -> None:
    assert to_csv(GROUPED).splitlines()[:3] == ["model,source,50 none,50 PI", "A,here,0.5,0.75", "A,paper,0.25,0.5"]
    latex = to_latex(GROUPED)
    assert r"\multicolumn{2}{c}{50}" in latex
    assert "none & PI" in latex
    assert to_terminal(GROUPED).splitlines()[0].split() == ["model", "source", "50", "none", "50", "PI"]


def test_leading_columns_of_a_grouped_table_name_a_row_once() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:3]] for line in to_markdown(GROUPED).splitlines()[2:]]
    assert lines == [["A", "here"], ["", "paper"], ["B", "here"]]
    assert "\n & paper" in to_latex(GROUPED)


def test_notes_stand_below_where_there_is_a_place_for_them() -> None:
    assert to_markdown(FRAME, "50 % of a_b").endswith("|\n\n50 % of a_b\n")
    assert r"{\footnotesize 50 \% of a\_b}" in to_latex(FRAME, "50 % of a_b")
    assert to_csv(FRAME, "50 % of a_b") == to_csv(FRAME)


HOSTILE = r"\input{x} ~ ^ & % # $ _ | <img onerror=x> `id`" + "\n\n[a](b)"


def test_hostile_texts_stay_texts_in_markdown_and_latex() -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE, "x"], "b": ["y", "z"]})
    markdown, latex = to_markdown(frame, HOSTILE), to_latex(frame, HOSTILE)
    table, note = markdown.split("\n\n")
    assert [line.count("|") for line in table.splitlines()] == [3] * 4
    assert note.count("\n") == 1
    for lines in (table, note):
        assert not {"<", ">", "`"} & set(lines)
        assert "&#60;img onerror=x&#62;" in lines
        assert "](" not in lines
    assert latex.count("textbackslash") == 3
    assert r"\input" not in latex
    commands = set(re.findall(r"\\[a-z]+", latex))
    ours = {r"\begin", r"\end", r"\toprule", r"\midrule", r"\bottomrule", r"\smallskip", r"\par", r"\footnotesize"}
    assert commands - ours == {r"\textbackslash", r"\textasciitilde", r"\textasciicircum", r"\space"}
    assert not re.search(r"(?<!\\)[%#$_~^]", latex)


def test_ordinary_texts_keep_their_spelling() -> None:
    for text in ("SAM ViT/B32", "[0.1, 0.2]", "Salt & pepper", "été, 日本", "a (b)", "x = y; 'z' \"q\""):
        assert f"| {text}" in to_markdown(pd.DataFrame({"a": [text]}), text)
        assert to_markdown(pd.DataFrame({"a": [text]}), text).endswith(f"\n\n{text}\n")
