"""Verdicts on the 270 printed numbers."""

import numpy as np
import pandas as pd
import pytest

from semrsm_cli.report.paper import printed_numbers, table_printed_for
from semrsm_cli.report.verdicts import count_verdicts, verdicts_table

SETTINGS = {"a": {"model.readout": "decoder", "sigma_tile": 100, "seed": 0}, "b": {"model.readout": "after_norm"}}
NUMBERS = {1: 42, 2: 90, 3: 30, 4: 84, 5: 24}


def whole_paper(shift: float = 0.0, half_width: float = np.nan) -> dict[str, pd.DataFrame]:
    """The paper's numbers as the joined rows of runs, each moved by `shift`, within intervals around them."""
    printed = printed_numbers().assign(seed=0, settings="a")
    value = printed["printed"] + shift
    printed = printed.assign(value=value, low=value - half_width, high=value + half_width)
    retrieval = printed[printed["table"].isin([2, 3])].rename(columns={"size": "n_database", "printed": "paper"})
    retrieval = retrieval.rename(columns={"value": "at_1", "low": "ci_low", "high": "ci_high"})
    retrieval["dataset"] = retrieval["table"].map({2: "egoobjects", 3: "cityscapes"})
    correlation = []
    for statistic in ("pearson", "spearman"):
        rows = printed[printed["table"].isin([1, 4]) & (printed["statistic"] == statistic)]
        names = {"value": statistic, "low": f"{statistic}_low", "high": f"{statistic}_high"}
        rows = rows.rename(columns=names | {"printed": f"paper_{statistic}", "size": "n_samples"})
        keys = ["model", "kernel", "invariance", "n_samples", "seed", "settings"]
        correlation.append(rows.set_index(keys)[[*names.values(), f"paper_{statistic}"]])
    matching = printed[printed["table"] == 5].rename(columns={"size": "positions", "printed": "paper_percent"})
    parts = matching["method"].str.extract(r"(?P<method>\w+)(?:\((?P<batch>\d+)\))?")
    matching = matching.assign(method=parts["method"], batch=parts["batch"].astype(float), n_pairs=100)
    matching = matching.rename(columns={"value": "percent_of_optimal", "low": "percent_low", "high": "percent_high"})
    return {
        "retrieval": retrieval.drop(columns=["table", "statistic", "method"]).assign(n_queries=2000),
        "correlation": pd.concat(correlation, axis=1).reset_index(),
        "matching": matching.drop(columns=["table", "statistic", "model"]).assign(model="ResNet101"),
        "cka": pd.DataFrame(),
    }


def counts(joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return count_verdicts(verdicts_table(joined, SETTINGS)).set_index("table")


def test_every_printed_number_has_a_verdict() -> None:
    table = verdicts_table({}, SETTINGS)
    assert len(table) == 270
    assert set(table["verdict"]) == {"not run"}
    assert counts({})["not run"].to_dict() == NUMBERS


def test_the_papers_own_numbers_agree_and_no_number_is_compared_twice() -> None:
    table = verdicts_table(whole_paper(), SETTINGS)
    assert len(table) == 270
    assert set(table["verdict"]) == {"agrees"}
    np.testing.assert_allclose(table["ours"], table["printed"])
    assert counts(whole_paper())["agrees"].to_dict() == NUMBERS
    assert set(table["settings"]) == {"readout=decoder, sigma_tile=100"}


@pytest.mark.parametrize(
    ("shift", "half_width", "verdict"),
    [
        (0.0004, np.nan, "agrees"),  # within the rounding of three decimals, and of one
        (0.06, 0.05, "differs"),
        (0.06, 0.07, "agrees"),
        (0.06, np.nan, "differs"),  # no interval, and not within the rounding
    ],
)
def test_a_number_agrees_within_the_interval_or_its_own_rounding(shift: float, half_width: float, verdict: str) -> None:
    table = counts(whole_paper(shift, half_width))
    assert table[verdict].to_dict() == NUMBERS
    assert table.drop(columns=[verdict, "agrees_with_all"]).to_numpy().sum() == 0


def test_several_draws_are_averaged_and_several_settings_stand_side_by_side() -> None:
    first, second = whole_paper(-0.05, 0.01)["retrieval"], whole_paper(0.05, 0.01)["retrieval"].assign(seed=1)
    table = verdicts_table({"retrieval": pd.concat([first, second])}, SETTINGS).dropna(subset="ours")
    assert len(table) == 120
    assert set(table["draws"]) == {2}
    assert set(table["verdict"]) == {"agrees"}
    other = second.assign(settings="b")
    table = verdicts_table({"retrieval": pd.concat([first.assign(at_1=first["paper"]), other])}, SETTINGS)
    assert len(table) == 270 + 120
    ours = counts({"retrieval": pd.concat([first.assign(at_1=first["paper"]), other])})
    assert ours["agrees"].sum() == 120, "one of both settings is enough, since the paper is silent on them"
    assert ours["agrees_with_all"].sum() == 0


def test_a_printed_number_belongs_to_what_it_was_printed_for() -> None:
    published = {"model.weights": "pretrained", "centering": "sample", "sigma": None, "shortlist": None}
    ego = published | {"dataset.name": "egoobjects", "dataset.n_queries": 2000}
    batch = {"matching.method": "batch_optimal", "matching.batch": 512}
    assert table_printed_for(2, 3, settings=ego | batch, positions=4096) == (2, True)
    assert table_printed_for(2, 3, settings=ego | batch | {"matching.batch": 256}, positions=4096) == (2, False)
    optimal = ego | {"matching.method": "optimal"}
    assert table_printed_for(2, 3, settings=optimal, positions=512) == (2, True)
    assert table_printed_for(2, 3, settings=optimal, positions=513) == (2, False)
    assert table_printed_for(2, 3, settings=ego | {"matching.method": "greedy"}, positions=49) == (2, False)
    for change in (
        {"dataset.n_queries": 100},
        {"dataset.name": "scenes"},
        {"model.weights": "random"},
        {"centering": "none"},
        {"sigma": 1.0},
        {"shortlist": 100},
    ):
        assert table_printed_for(2, 3, settings=ego | batch | change, positions=49)[0] is None, change
    imagenet = published | batch | {"dataset.name": "imagenet"}
    for n, number in ((2000, 1), (20000, 4), (2001, None)):
        assert table_printed_for(1, 4, settings=imagenet | {"n_images": n}, positions=49)[0] == number
    resnet101 = {"dataset.name": "tiny_imagenet", "model.label": "ResNet101", "centering": "none"}
    assert table_printed_for(5, settings=resnet101, positions=256)[0] == 5
    assert table_printed_for(5, settings=resnet101 | {"model.label": "ResNet18"}, positions=256)[0] is None
