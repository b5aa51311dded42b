"""The paper's layout: filled with the paper's own numbers it has to show no difference."""

import numpy as np
import pandas as pd
import pytest

from semrsm_cli.report import paper
from semrsm_cli.report.layout import PaperTable, arrange_tables


def retrieval(number: int, **columns: object) -> pd.DataFrame:
    """The paper's Table 2 or 3 as runs would leave it, in any order."""
    rows = paper.paper_table(number).rename(columns={"database_size": "n_database"})
    rows = rows.rename(columns={"f1_at_1": "paper", "iou_at_1": "paper"})
    rows = rows.assign(seed=0, n_queries=2000, settings="a", **columns)
    rows["matching"] = rows["invariance"].map({"none": np.nan, "permutation": "batch_optimal"})
    rows["label"] = rows["model"]
    for end in ("ci_low", "ci_high", "difference_low", "difference_high"):
        rows[end] = np.nan
    return rows.assign(at_1=rows["paper"]).sample(frac=1, random_state=0)


def table2() -> pd.DataFrame:
    return retrieval(2, dataset="egoobjects", metric="count_f1")


def only(tables: list[PaperTable]) -> PaperTable:
    (table,) = tables
    return table


def flat(table: PaperTable) -> list[str]:
    return [" ".join(filter(None, column)) for column in table.frame.columns]


def test_table_2_stands_as_in_the_paper() -> None:
    table = only(arrange_tables("retrieval", table2()))
    assert table.name == "table2"
    assert flat(table) == [
        *("model", "kernel", "source", "2500 none", "2500 PI", "2500 diff"),
        *("5000 none", "5000 PI", "5000 diff", "10000 none", "10000 PI", "10000 diff"),
    ]
    here = table.frame[table.frame[("source", "")] == "here"]
    models = ["CLIPSeg", "DinoV2-Giant", "BiT-50", "CLIP", "SAM ViT/B32"]
    assert here["model"].tolist() == [model for model in models for _ in range(3)]
    assert here["kernel"].tolist() == ["cosine", "linear", "rbf"] * 5
    clip = here[(here[("model", "")] == "CLIP") & (here[("kernel", "")] == "rbf")]
    assert clip.iloc[0, 3:].tolist() == [0.584, 0.779, 0.195, 0.679, 0.835, 0.156, 0.749, 0.863, 0.114]
    assert len(table.differences()) == 90
    assert not table.differences().any()
    assert "2000 queries" in table.note
    assert "batch_optimal" in table.note


def test_lines_of_a_row_are_here_paper_and_difference() -> None:
    rows = table2()
    rows["at_1"] += 0.015625
    table = only(arrange_tables("retrieval", rows[rows["model"] == "CLIP"]))
    assert table.frame["source"].tolist() == ["here", "paper", "difference"] * 3
    lines = table.frame.loc[:, table.frame.columns.get_level_values(0) == "5000"].to_numpy(float)
    np.testing.assert_allclose(lines[0] - lines[1], lines[2], atol=1e-9)
    np.testing.assert_allclose(lines[2], [0.015625, 0.015625, 0], atol=1e-9)


def test_the_summary_averages_over_all_cells() -> None:
    rows = table2()
    summary = only(arrange_tables("retrieval", rows.assign(at_1=rows["at_1"] - 0.0625))).summary()
    printed = paper.paper_table(2).groupby("invariance")["f1_at_1"].mean()
    assert summary["paper_mean_none"] == pytest.approx(printed["none"])
    assert summary["mean_PI"] == pytest.approx(printed["permutation"] - 0.0625)
    assert summary["largest_difference"] == pytest.approx(0.0625)


def test_what_was_not_run_is_left_out_and_what_is_not_printed_has_no_line() -> None:
    rows = table2()
    mine = rows[(rows["model"] == "CLIP") & (rows["n_database"] == 2500)]
    mine = mine.assign(model="Mine", label="Mine", paper=np.nan)
    rows = pd.concat([mine, rows[(rows["model"] == "SAM ViT/B32") & (rows["n_database"] != 2500)]])
    table = only(arrange_tables("retrieval", rows))
    assert table.frame["model"].tolist() == ["SAM ViT/B32"] * 9 + ["Mine"] * 3
    assert set(table.frame.loc[table.frame[("model", "")] == "Mine", ("source", "")]) == {"here"}
    assert [column for column in flat(table) if column.endswith("none")] == ["2500 none", "5000 none", "10000 none"]


def test_one_invariance_alone_has_no_gain() -> None:
    rows = table2()
    table = only(arrange_tables("retrieval", rows[rows["invariance"] == "none"]))
    assert flat(table) == ["model", "kernel", "source", "2500 none", "5000 none", "10000 none"]


def test_seeds_are_averaged_and_counted() -> None:
    rows = table2()
    both = pd.concat([rows, rows.assign(seed=1, at_1=rows["at_1"] + 0.5)])
    table = only(arrange_tables("retrieval", both))
    np.testing.assert_allclose(table.differences(), 0.25)
    assert "Means over 2 seeds" in table.note


def test_intervals_stand_below_what_they_are_of_and_draws_are_told_apart() -> None:
    rows = table2().query("model == 'CLIP' and n_database == 2500 and kernel == 'rbf'")
    rows = rows.assign(ci_low=rows["at_1"] - 0.25, ci_high=rows["at_1"] + 0.25)
    rows = rows.assign(difference_low=-1.0, difference_high=2.0)
    draws = pd.concat([rows, rows.assign(seed=1, at_1=rows["at_1"] + 0.5, difference_high=4.0)])
    frame = only(arrange_tables("retrieval", draws)).frame
    assert frame["source"].tolist() == ["here", "low", "high", "between draws", "paper", "difference"]
    here, low, high, between, *_ = frame.iloc[:, 3:].to_numpy(float)
    np.testing.assert_allclose(here, [0.834, 1.029, 0.195])
    np.testing.assert_allclose(low, [0.334, 0.529, -1])
    np.testing.assert_allclose(high, [0.834, 1.029, 3])
    np.testing.assert_allclose(between, [np.sqrt(0.125), np.sqrt(0.125), 0], atol=1e-12)


def test_table_3_stands_as_in_the_paper_if_all_of_cityscapes_was_used() -> None:
    rows = retrieval(3, dataset="cityscapes", metric="presence_iou", n_database=2975)
    table = only(arrange_tables("retrieval", rows))
    assert table.name == "table3"
    assert flat(table)[2:] == ["cosine none", "cosine PI", "linear none", "linear PI", "rbf none", "rbf PI"]
    assert len(table.differences()) == 30
    assert not table.differences().any()
    assert only(arrange_tables("retrieval", rows.assign(n_database=100))).name == "retrieval_cityscapes"


def test_other_sets_have_tables_of_their_own_and_unscored_ones_none() -> None:
    rows = table2().assign(paper=np.nan)
    both = pd.concat([rows.assign(dataset="scenes"), rows.assign(dataset="folder", metric=np.nan, at_1=np.nan)])
    table = only(arrange_tables("retrieval", both))
    assert table.name == "retrieval_scenes"
    assert table.differences().size == 0


def correlation(n_samples: int, dataset: str = "imagenet") -> pd.DataFrame:
    """The paper's Tables 1 and 4 as runs would leave them."""
    first = paper.paper_table(1).rename(columns={"pearson": "paper_pearson"}).assign(paper_spearman=np.nan)
    fourth = paper.paper_table(4).pivot(index=["model", "kernel", "invariance"], columns="statistic", values="value")
    fourth = fourth.add_prefix("paper_").reset_index()
    rows = (first if n_samples == 2000 else fourth).assign(n_samples=n_samples, dataset=dataset, seed=0, matching="")
    rows = rows.assign(pearson=rows["paper_pearson"], spearman=rows["paper_spearman"].fillna(0), label=rows["model"])
    ends = {f"{statistic}_{end}": np.nan for statistic in ("pearson", "spearman") for end in ("low", "high")}
    return rows.assign(**ends)


def test_table_1_stands_as_in_the_paper_and_tells_of_the_lost_sign() -> None:
    table = only(arrange_tables("correlation", correlation(2000)))
    assert table.name == "table1"
    assert flat(table)[2:] == ["cosine none", "cosine PI", "linear none", "linear PI", "rbf none", "rbf PI"]
    assert table.frame["model"].drop_duplicates().iloc[[0, -1]].tolist() == ["ResNet18", "DinoV2-Giant"]
    assert table.differences().size == 42
    assert "+0.176" in table.note
    without = correlation(2000).query("model != 'ResNet18'")
    assert "+0.176" not in only(arrange_tables("correlation", without)).note


def test_table_4_has_both_correlations() -> None:
    table = only(arrange_tables("correlation", correlation(20000)))
    assert table.name == "table4"
    assert flat(table)[2:4] == ["Pearson, cosine none", "Pearson, cosine PI"]
    assert flat(table)[-1] == "Spearman, rbf PI"
    assert table.differences().size == 84
    assert not table.differences().any()
    assert "+0.176" not in table.note


def test_other_correlations_have_tables_of_their_own() -> None:
    for n_samples, dataset in ((204, "photos"), (2000, "folder")):
        rows = correlation(2000).assign(n_samples=n_samples, dataset=dataset, paper_pearson=np.nan)
        table = only(arrange_tables("correlation", rows))
        assert table.name == f"correlation_{dataset}_{n_samples}"
        assert set(table.frame[("source", "")]) == {"here"}


def test_table_5_stands_as_in_the_paper() -> None:
    printed = paper.paper_table(5).rename(columns={"algorithm": "method", "spatial_extent": "positions"})
    rows = printed.assign(
        seed=0,
        dataset="tiny_imagenet",
        label="ResNet101",
        n_exact=np.nan,
        percent_low=np.nan,
        percent_high=np.nan,
        percent_of_optimal=printed["similarity_percent_of_optimal"],
        paper_percent=printed["similarity_percent_of_optimal"],
        seconds_mean=printed["seconds_per_pair"],
        paper_seconds=printed["seconds_per_pair"],
    )
    table = only(arrange_tables("matching", rows.iloc[::-1]))
    assert table.name == "table5"
    assert flat(table)[3:] == [f"s = {s} {what}" for s in (256, 1024, 4096) for what in ("percent", "ms")]
    here = table.frame[table.frame[("source", "")] == "here"].set_index([("method", ""), ("batch", "")])
    assert here.loc[("Batch-Optimal", "512"), ("s = 1024", "ms")].item() == pytest.approx(37.1)
    assert here.loc[("OR-Tools", ""), ("s = 4096", "percent")].item() == 100
    assert table.differences().size == 48
    assert np.isnan(table.summary()["largest_difference"])  # percent and milliseconds don't compare


def test_timings_of_other_networks_have_tables_of_their_own() -> None:
    rows = pd.DataFrame({"method": ["topk_greedy", "topk_greedy", "optimal"], "n_exact": [128, 256, np.nan]})
    rows = rows.assign(batch=np.nan, positions=1024, seconds_mean=0.01, percent_of_optimal=99.0, seed=0)
    rows = rows.assign(paper_percent=np.nan, paper_seconds=np.nan, label="ResNet18", dataset="photos")
    rows = rows.assign(percent_low=98.0, percent_high=99.5)
    first, second = arrange_tables("matching", pd.concat([rows, rows.assign(dataset="tiny_imagenet")]))
    assert (first.name, second.name) == ("matching_photos_ResNet18", "matching_tiny_imagenet_ResNet18")
    assert first.frame[("batch", "")].unique().tolist() == ["k = 128", "k = 256", ""]
    assert first.frame[("source", "")].tolist() == ["here", "low", "high"] * 3
    assert first.frame[("s = 1024", "percent")].tolist() == [99.0, 98.0, 99.5] * 3


def test_tables_without_a_layout() -> None:
    assert arrange_tables("separation", pd.DataFrame()) == []
