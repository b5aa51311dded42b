"""What is told apart when runs differ, and what one choice moves."""

from typing import Any

import pandas as pd

from semrsm_cli.report.differences import label_runs, sensitivity_table, settings_table


def retrieved(*runs: tuple[str, str], **columns: Any) -> pd.DataFrame:
    """A row for each of some runs' hashes and models."""
    rows = pd.DataFrame(runs, columns=["settings", "model"])
    return rows.assign(dataset="scenes", metric="count_f1", **columns)


def test_one_way_of_running_a_network_needs_no_words() -> None:
    settings = {"a": {"model.readout": "decoder"}, "b": {"model.readout": "after_norm"}}
    assert label_runs(retrieved(("a", "CLIP"), ("a", "CLIP"), ("b", "SAM")), "retrieval", settings).tolist() == [
        *("CLIP", "CLIP", "SAM")
    ]


def test_what_differs_is_told_and_nothing_else() -> None:
    settings = {
        "a": {"model.readout": "decoder", "sigma_tile": 100, "model.layers": ["last"], "seedless": True},
        "b": {"model.readout": "decoder", "sigma_tile": None, "model.layers": ["last"], "seedless": True},
        "c": {"model.readout": "after_norm", "sigma_tile": None, "model.layers": ["last", "x"], "seedless": True},
    }
    rows = retrieved(("a", "CLIP"), ("b", "CLIP"), ("a", "CLIP"), ("c", "SAM"))
    tile = ["CLIP (sigma_tile=100)", "CLIP (sigma_tile=null)", "CLIP (sigma_tile=100)", "SAM"]
    assert label_runs(rows, "retrieval", settings).tolist() == tile
    assert label_runs(rows[::-1], "retrieval", settings).tolist() == tile[::-1]
    two = label_runs(retrieved(("b", "CLIP"), ("c", "CLIP")), "retrieval", settings).tolist()
    assert two == ["CLIP (layers=[last], readout=decoder)", "CLIP (layers=[last,x], readout=after_norm)"]


def test_what_most_runs_have_goes_without_saying() -> None:
    settings = {"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 1, "y": 2}}
    rows = retrieved(*((identity, "M") for identity in settings))
    assert label_runs(rows, "retrieval", settings).tolist() == ["M", "M (x=2)", "M (y=2)"]


def test_names_that_end_alike_are_told_whole() -> None:
    settings = {"a": {"model.name": "x", "dataset.name": "y"}, "b": {"model.name": "u", "dataset.name": "v"}}
    labels = label_runs(retrieved(("a", "M"), ("b", "M")), "retrieval", settings).tolist()
    assert labels == ["M (dataset.name=y, model.name=x)", "M (dataset.name=v, model.name=u)"]


def test_a_column_of_the_table_is_not_told_again() -> None:
    settings = {"a": {"dataset.n_database": 8}, "b": {"dataset.n_database": 12}}
    assert label_runs(retrieved(("a", "M"), ("b", "M")), "retrieval", settings).tolist() == ["M", "M"]


def test_networks_are_told_where_nothing_else_tells() -> None:
    settings = {"a": {"network": "1", "x": 1}, "b": {"network": "2", "x": 1}, "c": {"network": "3", "x": 2}}
    rows = retrieved(("a", "M"), ("b", "M"))
    assert label_runs(rows, "retrieval", settings).tolist() == ["M (network=1)", "M (network=2)"]
    assert label_runs(retrieved(("a", "M"), ("c", "M")), "retrieval", settings).tolist() == ["M (x=1)", "M (x=2)"]


def test_other_images_of_one_seed_are_told() -> None:
    labels = label_runs(retrieved(("a/11", "M"), ("a/22", "M")), "retrieval", {"a": {"x": 1}}).tolist()
    assert labels == ["M (images=11)", "M (images=22)"]


def test_the_table_of_settings_has_what_varies() -> None:
    settings = {"a": {"x": 1, "y": None}, "b": {"x": 1, "y": [2, True], "z": "w"}}
    table = settings_table([("r", 0, "a"), ("s", 0, "b")], settings)
    assert list(table) == ["run", "seed", "settings", "y", "z"]
    assert table["y"].tolist() == ["null", "[2,true]"]


CHOICES = {
    "base": {"model.cls_token": "keep", "sigma_tile": 100, "network": "1"},
    "drop": {"model.cls_token": "drop", "sigma_tile": 100, "network": "1"},
    "global": {"model.cls_token": "keep", "sigma_tile": None, "network": "2"},
    "both": {"model.cls_token": "drop", "sigma_tile": None, "network": "2"},
}


def scored(*cells: tuple[str, int, str, float]) -> pd.DataFrame:
    rows = pd.DataFrame(cells, columns=["settings", "seed", "invariance", "at_1"])
    return rows.assign(model="CLIP", dataset="egoobjects", n_database=5000, kernel="rbf")


def test_each_choice_stands_with_what_it_adds() -> None:
    base = (("base", 0, "none", 0.25), ("base", 0, "permutation", 0.75))
    rows = scored(("drop", 0, "none", 0.5), *base, ("global", 0, "none", 0.125))
    table = sensitivity_table(rows, CHOICES, "at_1")
    assert table["choice"].tolist() == ["reference", "model.cls_token", "sigma_tile"]
    assert table["value"].tolist() == ["", "drop", "null"]
    assert table["rbf", "none"].tolist() == [0.25, 0.25, -0.125]
    assert table["rbf", "permutation"].tolist()[0] == 0.75
    assert table["rbf", "permutation"].isna().tolist() == [False, True, True]
    assert table["images"].tolist() == [5000] * 3


def test_choices_are_compared_on_the_seeds_that_both_have() -> None:
    rows = scored(("base", 0, "none", 0.25), ("base", 1, "none", 0.75), ("drop", 1, "none", 0.5))
    table = sensitivity_table(rows, {name: CHOICES[name] for name in ("base", "drop")}, "at_1")
    assert table["rbf", "none"].tolist() == [0.5, -0.25]


def test_runs_that_differ_in_more_than_one_setting_are_no_choice() -> None:
    assert sensitivity_table(scored(("base", 0, "none", 0.5), ("both", 0, "none", 0.25)), CHOICES, "at_1").empty
