"""`semrsm bench` on small maps: its tables, not its times."""

import os
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import yaml

from semrsm_cli.config import BenchConfig
from semrsm_cli.matching import Method, affinities, approximate
from semrsm_cli.matching import permute as real_permute
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.report.figures.bench import alignment_figure, runtime_figure
from semrsm_cli.tasks.bench import timing
from semrsm_cli.tasks.bench.tables import alignment_table, matching_table, summarize
from semrsm_cli.tasks.bench.timing import Cell, Contender, Measurements, Score, draw_pairs, measure_methods, one_core
from tests.command import Command, succeed
from tests.data.pictures import picture

SMALL = ("size=128", "n_images=3", "seconds_per_cell=0.05", "model.layers=[blocks.2,blocks.4]")


def read(name: str) -> pd.DataFrame:
    (folder,) = Path("outputs", "bench").iterdir()
    return pd.read_csv(folder / "tables" / f"{name}.csv")


COLUMNS = [
    *("method", "batch", "positions", "channels", "layer", "n_pairs", "seconds_mean", "seconds_median"),
    *("percent_of_optimal", "certified_gap", "paper_seconds", "paper_percent", "times_optimal"),
    *("n_exact", "affinity_seconds", "n_common", "model", "dataset", "percent_low", "percent_high"),
]
METHODS = [*BenchConfig().methods]
MILLISECONDS = {Method.scipy: 40, Method.lapjv: 7, Method.optimal: 2}  # of the made-up clock; 1 for others


def made_up_layer(n: int, s: int, seed: int = 0) -> Layer:
    x = np.random.default_rng(seed).normal(size=(n, s, 8)).astype(np.float32) + 0.5
    return Layer("layer", x, "key")


def measured(config: BenchConfig, layer: Layer, *, timed: bool = True) -> Measurements:
    return measure_methods(layer, config, draw_pairs(layer.x.shape[0], config), timed=timed)


def tabled(config: BenchConfig, layer: Layer, *, is_table_5: bool = False) -> pd.DataFrame:
    measurements = {"layer": measured(config, layer)}
    return matching_table(measurements, {"layer": layer}, "a network", "images", is_table_5=is_table_5)


def legend_of(table: pd.DataFrame) -> list[str]:
    return [text.get_text() for text in runtime_figure(table).legends[0].get_texts()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes while a permutation is looked for, and only then."""
    now = 0.0

    def permute(pair, method, **parameters):
        nonlocal now
        now += MILLISECONDS.get(method, 1) / 1000
        return real_permute(pair, method, **parameters)

    monkeypatch.setattr(timing, "permute", permute)
    monkeypatch.setattr(timing, "time", Mock(perf_counter=lambda: now))


@pytest.mark.drawn
def test_tables_hold_every_method(semrsm: Command) -> None:
    result = succeed(semrsm("bench", *SMALL, "positions=[64,256]", "batches=[32,128]", "n_exact=[16,300]"))
    matching = read("matching")
    assert list(matching) == COLUMNS
    assert set(matching["positions"]) == {64, 256}
    assert (matching["n_pairs"] >= 1).all()
    assert (matching["seconds_median"] > 0).all()
    assert (matching["affinity_seconds"] > 0).all()
    assert (matching.groupby("positions")["n_common"].nunique() == 1).all()
    assert set(matching["model"]) == {"EfficientNet-Lite0"}
    assert set(matching["dataset"]) == {"photos"}
    assert matching[["paper_seconds", "paper_percent"]].isna().all(axis=None)
    by_method = matching.set_index(["method", "positions"])
    for exact in ("scipy", "ortools", "ortools_x1000", "lapjv"):
        assert by_method.loc[(exact, 256), "percent_of_optimal"] == pytest.approx(100, abs=0.02)
    assert by_method.loc[("optimal", 256), "certified_gap"] <= 1e-4
    assert (by_method.loc["optimal", "times_optimal"] == 1).all()
    assert by_method.loc[("diagonal", 256), "percent_of_optimal"] < 90
    batches = matching.query("method == 'batch_optimal' and positions == 256").set_index("batch")
    assert batches.loc[32, "percent_of_optimal"] <= batches.loc[128, "percent_of_optimal"] + 0.5
    (folder,) = Path("outputs", "bench").iterdir()
    assert {path.name for path in (folder / "figures").glob("*.png")} == {"runtime.png", "alignment.png"}
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "(pairs)" in result.stdout


def test_the_papers_numbers_stand_beside_its_methods() -> None:
    config = BenchConfig(seconds_per_cell=1e-9, n_pairs=1, n_images=2)
    table = tabled(config, made_up_layer(2, 256), is_table_5=True)
    by_method = table.set_index("method")
    assert by_method.loc["ortools_x1000", "paper_seconds"] == pytest.approx(0.00426)  # so its authors call OR-Tools
    assert np.isnan(by_method.loc["ortools", "paper_seconds"])
    assert by_method.loc["scipy", "paper_seconds"] == pytest.approx(0.0051)
    assert table.set_index("batch").loc[128, "paper_percent"] == pytest.approx(97.6)
    assert table[["paper_seconds", "paper_percent"]].notna().all(axis=1).sum() == 8
    assert "in the paper" in legend_of(table)


@pytest.mark.slow
def test_the_papers_numbers_stand_beside_what_they_were_printed_for_only(semrsm: Command, tmp_path: Path) -> None:
    for i in range(2):
        picture(tmp_path / f"val/images/val_{i}.JPEG", shade=200 * i)
    tiny_imagenet = ("dataset=tiny_imagenet", f"dataset.root={tmp_path}")
    for settings, expected in (
        (("model.label=ResNet101", *tiny_imagenet), 8),
        (("model.label=ResNet101", *tiny_imagenet, "centering=sample"), 0),
        (tiny_imagenet, 0),
        (("model.label=ResNet101",), 0),
    ):
        small = ("size=128", "n_images=2", "positions=[256]", "seconds_per_cell=1e-9", "model.layers=[blocks.2]")
        succeed(semrsm("bench", *small, *settings, "hydra.run.dir=run"))
        matching = pd.read_csv("run/tables/matching.csv")
        assert matching[["paper_seconds", "paper_percent"]].notna().all(axis=1).sum() == expected, settings
        assert list(matching) == COLUMNS
        shutil.rmtree("run")


def test_the_timer_runs_while_a_permutation_is_looked_for_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, stops = 0, 0

    def perf_counter() -> float:
        nonlocal starts, stops
        starts, stops = starts + (starts == stops), stops + (starts > stops)
        return 0.0

    def is_outside(function):
        def checked(*arguments, **keywords):
            assert starts == stops, f"{function.__name__} is timed"
            calls.add(function.__name__)
            return function(*arguments, **keywords)

        return checked

    config, layer = BenchConfig(n_pairs=2, n_images=3, largest_matrix=64), made_up_layer(3, 64)
    measured(config, layer)  # compiles, for which numba needs functions as they are
    calls: set[str] = set()
    monkeypatch.setattr(timing, "time", Mock(perf_counter=perf_counter))
    for module, name in (
        (timing, "check_pair"),
        (timing, "assess"),
        (affinities, "max_similarity"),
        (approximate, "upper_bounds"),
        (np, "isfinite"),
    ):
        monkeypatch.setattr(module, name, is_outside(getattr(module, name)))
    measured(config, layer)
    assert starts == stops > 2 * len(METHODS)
    assert calls == {"check_pair", "assess", "max_similarity", "upper_bounds", "isfinite"}


def test_no_matching_costs_next_to_nothing() -> None:
    """Checks and an upper bound would take a hundredth of SciPy's time; absolute times differ between machines."""
    config = BenchConfig(methods=[Method.scipy, Method.diagonal], n_images=3, n_pairs=3, seconds_per_cell=100)
    seconds = tabled(config, made_up_layer(3, 1024)).set_index("method")["seconds_median"]
    assert seconds["diagonal"] < 1e-3 * seconds["scipy"]


@pytest.mark.usefixtures("clock")
def test_all_methods_are_timed_on_the_same_pairs_until_the_slowest_has_used_up_its_time() -> None:
    layer = made_up_layer(7, 12)
    config = BenchConfig(seconds_per_cell=0.1, n_images=7, n_pairs=20, batches=[4, 8], n_exact=[3, 5])
    table = tabled(config, layer)
    assert set(table["n_common"]) == {3}  # 40, 80 and 120 ms of SciPy's
    by_method = table.drop_duplicates("method").set_index("method")
    for method, expected in (("scipy", 0.04), ("lapjv", 0.007), ("optimal", 0.002), ("diagonal", 0.001)):
        assert by_method.loc[method, ["seconds_mean", "seconds_median"]].tolist() == pytest.approx([expected] * 2)
        assert by_method.loc[method, "times_optimal"] == pytest.approx(expected / 0.002)
    goes_on = table["method"].isin(["optimal", "batch_optimal", "topk_greedy", "greedy", "diagonal"])
    assert set(table.loc[goes_on, "n_pairs"]) == {20}  # what approximations reach depends on no rival and no machine
    assert set(table.loc[~goes_on, "n_pairs"]) == {3}
    without_rivals = tabled(
        replace(config, methods=[m for m in METHODS if m not in MILLISECONDS or m == "optimal"]), layer
    )
    columns = ["method", "batch", "n_exact", "percent_of_optimal", "certified_gap"]
    ours = table[goes_on].reset_index(drop=True)
    theirs = without_rivals[without_rivals["method"].isin(ours["method"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours[columns], theirs[columns])
    assert set(without_rivals["n_common"]) == {20}


@pytest.mark.usefixtures("clock")
def test_the_order_of_the_methods_changes_nothing() -> None:
    layer = made_up_layer(5, 12)
    config = BenchConfig(seconds_per_cell=0.1, n_images=5, n_pairs=9, batches=[4], n_exact=[3])
    keys = ["method", "batch", "n_exact"]
    one_way = tabled(config, layer).sort_values(keys, ignore_index=True)
    for methods in ([*reversed(METHODS)], [*METHODS[3:], *METHODS[:3]]):
        other_way = tabled(replace(config, methods=methods), layer).sort_values(keys, ignore_index=True)
        pd.testing.assert_frame_equal(one_way, other_way)


def test_a_table_compares_common_pairs() -> None:
    layers = {"layer": Layer("layer", np.empty((3, 4, 2)), "key")}
    optimal, scipy = Cell(), Cell()
    for pair, seconds in (((0, 1), 1.0), ((0, 2), 100.0), ((1, 2), 100.0)):
        optimal.seconds[pair], optimal.scores[pair] = seconds, Score(4.0, 4.0)
    scipy.seconds[0, 1], scipy.scores[0, 1] = 5.0, Score(4.0, 4.0)
    cells = {Contender(Method.optimal): optimal, Contender(Method.scipy): scipy}
    table = matching_table({"layer": Measurements(cells)}, layers, "", "", is_table_5=False).set_index("method")
    assert table.loc["scipy", "times_optimal"] == 5
    assert table["n_common"].tolist() == [1, 1]
    assert table["n_pairs"].tolist() == [3, 1]
    assert table["seconds_median"].tolist() == table["seconds_mean"].tolist() == [1, 5]


def test_topk_greedy_is_a_series_that_ends_in_the_optimum() -> None:
    config = BenchConfig(n_images=3, n_pairs=3, methods=[Method.optimal, Method.topk_greedy], tolerance=1e-7)
    config = replace(config, n_exact=[4, 16, 32, 64])
    layer = made_up_layer(3, 32)
    for timed in (True, False):
        at_layer = {"layer": measured(config, layer, timed=timed)}
        alignment = alignment_table(at_layer, {"layer": layer})
        labels = [f"topk_greedy({n_exact})" for n_exact in config.n_exact]
        assert list(dict.fromkeys(alignment["method"])) == labels
        means = alignment.groupby("method")["ratio_to_optimal"].mean()[labels]
        assert means.iloc[0] < 0.99
        assert means.iloc[2:].tolist() == pytest.approx([1, 1], abs=1e-6)
        legend = alignment_figure(alignment).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == labels
    table = tabled(config, layer)
    assert table["n_exact"].tolist()[1:] == config.n_exact
    assert table["batch"].isna().all()
    assert summarize(table)["method"].tolist() == ["(pairs)", "optimal", *labels]
    assert legend_of(table) == ["optimal, certified", "topk_greedy(64)", "the affinity"]


def test_experiments_read_before_the_last_relu() -> None:
    for name in ("bench_table5", "bench_fig5"):
        source = files("semrsm_cli").joinpath("..", "conf", "experiment", f"{name}.yaml")
        settings = yaml.safe_load(source.read_text(encoding="utf-8"))
        assert all(layer.endswith(".sum") or layer == "stem.norm" for layer in settings["model"]["layers"])
    assert settings["n_exact"] == [128, 256, 512, 1024, 2048]


def test_alignment_compares_every_layer_pair_by_pair(semrsm: Command) -> None:
    succeed(semrsm("bench", *SMALL, "positions=[64]"))
    alignment = read("alignment")
    assert list(alignment) == ["layer", "positions", "pair", "method", "ratio_to_optimal"]
    assert set(alignment["layer"]) == {"blocks.2", "blocks.4"}
    assert (alignment["ratio_to_optimal"] <= 1 + 1e-4).all()
    assert alignment.groupby(["layer", "method"])["pair"].nunique().eq(3).all()
    approximations = [*(f"batch_optimal({length})" for length in (128, 256, 512, 1024)), "greedy"]
    approximations[4:4] = [f"topk_greedy({n_exact})" for n_exact in (128, 256, 512, 1024, 2048)]
    for _, of_layer in alignment.groupby("layer"):
        assert list(dict.fromkeys(of_layer["method"])) == [*approximations, "diagonal"]


def test_only_approximations_that_were_asked_for_are_drawn(semrsm: Command) -> None:
    for methods, drawn in (("[optimal,scipy]", False), ("[optimal,greedy]", True)):
        succeed(semrsm("bench", *SMALL, "positions=[64]", f"methods={methods}", f"hydra.run.dir={drawn}"))
        assert set(pd.read_csv(f"{drawn}/tables/alignment.csv")["method"]) == ({"greedy"} if drawn else set()), methods
        assert Path(f"{drawn}/figures/alignment.png").exists() == drawn, methods


def test_no_matrix_is_built_beyond_the_limit(semrsm: Command) -> None:
    succeed(semrsm("bench", *SMALL, "positions=[64,256]", "largest_matrix=100"))
    matching = read("matching")
    assert set(matching.query("positions == 256")["method"]) == {"optimal", "batch_optimal", "diagonal"}
    assert len(set(matching.query("positions == 64")["method"])) > 3
    assert matching.set_index("positions")["affinity_seconds"].isna().groupby("positions").all().to_dict() == {
        64: False,
        256: True,
    }


def test_methods_that_all_need_a_matrix_beyond_the_limit_are_refused(semrsm: Command) -> None:
    result = semrsm("bench", *SMALL, "positions=[256]", "largest_matrix=100", "methods=[scipy]")
    assert result.exit_code == 2
    assert (
        "no method of scipy can do without the affinity, but 256 positions exceed largest_matrix=100" in result.stderr
    )


def test_size_that_no_layer_has_lists_those_that_there_are(semrsm: Command) -> None:
    result = semrsm("bench", *SMALL, "positions=[100]")
    assert result.exit_code == 2
    assert "no layer has 100 positions at size=128" in result.stderr
    assert "blocks.4: 64" in result.stderr
    assert result.stderr.count("\n") == 1


def test_pinning_ends_with_the_block() -> None:
    before = os.sched_getaffinity(0)
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_printed_tables_are_complete() -> None:
    assert [len(paper.paper_table(number)) for number in range(1, 6)] == [42, 90, 30, 84, 24]
