"""`semrsm bench` on small maps: its tables, not its times."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semrsm_cli.matching import Method, match
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.tasks.bench.tables import matching_table
from semrsm_cli.tasks.bench.timing import Cell, Contender, one_core
from tests.command import Command, succeed

SMALL = ("size=128", "n_images=3", "seconds_per_cell=0.05", "model.layers=[blocks.2,blocks.4]")


def read(name: str) -> pd.DataFrame:
    (folder,) = Path("outputs", "bench").iterdir()
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_tables_hold_every_method_and_the_papers_numbers(semrsm: Command) -> None:
    result = succeed(semrsm("bench", *SMALL, "positions=[64,256]", "batches=[32,128]"))
    matching = read("matching")
    assert list(matching) == [
        *("method", "batch", "positions", "channels", "layer", "n_pairs", "seconds_mean", "seconds_median"),
        *("percent_of_optimal", "certified_gap", "paper_seconds", "paper_percent", "times_optimal"),
    ]
    assert set(matching["positions"]) == {64, 256}
    assert (matching["n_pairs"] >= 1).all()
    assert (matching["seconds_median"] > 0).all()
    by_method = matching.set_index(["method", "positions"])
    for exact in ("scipy", "ortools", "lapjv"):
        assert by_method.loc[(exact, 256), "percent_of_optimal"] == pytest.approx(100, abs=0.02)
    assert by_method.loc[("optimal", 256), "certified_gap"] <= 1e-4
    assert (by_method.loc["optimal", "times_optimal"] == 1).all()
    assert by_method.loc[("diagonal", 256), "percent_of_optimal"] < 90
    assert by_method.loc[("scipy", 256), "paper_seconds"] == pytest.approx(0.0051)
    batches = matching.query("method == 'batch_optimal' and positions == 256").set_index("batch")
    assert batches.loc[128, "paper_percent"] == pytest.approx(97.6)
    assert batches.loc[32, "percent_of_optimal"] <= batches.loc[128, "percent_of_optimal"] + 0.5
    (folder,) = Path("outputs", "bench").iterdir()
    assert {path.name for path in (folder / "figures").glob("*.png")} == {"runtime.png", "alignment.png"}
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_methods_are_compared_on_the_pairs_that_both_had_time_for() -> None:
    layers = {"layer": Layer("layer", np.empty((3, 4, 2)), "key")}
    optimal, scipy = Cell(), Cell()
    for pair, seconds in (((0, 1), 1.0), ((0, 2), 100.0), ((1, 2), 100.0)):
        optimal.add(pair, seconds, match(np.eye(4)))
    scipy.add((0, 1), 5.0, match(np.eye(4)))
    cells = {Contender(Method.optimal): optimal, Contender(Method.scipy): scipy}
    table = matching_table({"layer": cells}, layers).set_index("method")
    assert table.loc["scipy", "times_optimal"] == 5
    assert table.loc["scipy", "n_pairs"] == 1
    assert table.loc["optimal", "seconds_median"] == 100


def test_alignment_compares_every_layer_pair_by_pair(semrsm: Command) -> None:
    succeed(semrsm("bench", *SMALL, "positions=[64]"))
    alignment = read("alignment")
    assert list(alignment) == ["layer", "positions", "pair", "method", "ratio_to_optimal"]
    assert set(alignment["layer"]) == {"blocks.2", "blocks.4"}
    assert (alignment["ratio_to_optimal"] <= 1 + 1e-4).all()
    assert alignment.groupby(["layer", "method"])["pair"].nunique().eq(3).all()
    approximations = [*(f"batch_optimal({length})" for length in (128, 256, 512, 1024)), "topk_greedy", "greedy"]
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
