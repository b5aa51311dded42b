"""`semrsm report` on sweeps, and on runs that hold the paper's own numbers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import Result

from semrsm_cli.report import paper
from tests.command import Command, refuse, succeed
from tests.data import egoobjects_files

RANDOM = ("model=timm", "model.weights=random")
FEW_SCENES = ("dataset.n_scenes=4", "dataset.n_videos=3", "dataset.n_queries=4", "n_pictures=0")

CKA = ("model_a", "layer_a", "model_b", "layer_b", "kernel", "invariance_a", "invariance_b", "estimator")


def table(name: str, run: str = "report") -> pd.DataFrame:
    return pd.read_csv(Path(run) / "tables" / f"{name}.csv")


def left_by_a_run(path: str, name: str, rows: pd.DataFrame) -> None:
    (Path(path) / "tables").mkdir(parents=True)
    rows.to_csv(Path(path) / "tables" / f"{name}.csv", index=False)
    (Path(path) / "run.json").write_text('{"command": [], "settings": {}, "stages": {}}')


@pytest.mark.slow
def test_a_sweep_is_joined_and_drawn(semrsm: Command) -> None:
    sweep = ("model.name=test_resnet,test_vit", "dataset.n_database=8,12", "n_thumbnails=3", "--multirun")
    succeed(semrsm("retrieve", *RANDOM, *FEW_SCENES, *sweep))
    result = succeed(semrsm("report", "hydra.run.dir=report"))
    laid_out = table("retrieval_scenes")
    assert list(laid_out) == [
        *("model", "kernel", "source", "8 none", "8 PI", "8 diff", "12 none", "12 PI", "12 diff"),
    ]
    assert laid_out["source"].tolist() == ["here", "low", "high"] * 6
    laid_out = laid_out.query("source == 'here'")
    assert laid_out["model"].tolist() == ["test_resnet"] * 3 + ["test_vit"] * 3
    joined = table("joined_retrieval")
    assert len(joined) == 2 * 2 * 3 * 3
    assert joined["run"].nunique() == 4
    one = joined.query("model == 'test_vit' and n_database == 12 and kernel == 'rbf' and invariance == 'permutation'")
    line = laid_out.query("model == 'test_vit' and kernel == 'rbf'")
    assert line["12 PI"].item() == one["at_1"].item()
    assert line["12 diff"].item() == pytest.approx(line["12 PI"].item() - line["12 none"].item())
    figures = {path.name for path in Path("report/figures").glob("*.png")}
    assert figures == {
        *(f"scores_scenes_{n}.png" for n in (8, 12)),
        *(f"neighbours_scenes_{n}_{i}.png" for n in (8, 12) for i in (1, 2)),
    }
    shown = table("neighbours_scenes_12_1")
    assert set(shown["model"]) == {"test_resnet", "test_vit"}
    assert shown["query"].nunique() == 1
    assert set(shown["invariance"]) == {"none", "permutation"}
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "retrieval_scenes" in result.stdout


def test_a_report_is_no_run_and_newer_runs_take_the_place_of_older_ones(semrsm: Command) -> None:
    arguments = ("retrieve", *RANDOM, "model.name=test_resnet", *FEW_SCENES, "n_thumbnails=0", "invariances=[none]")
    succeed(semrsm(*arguments, "n_neighbours=1", "hydra.run.dir=outputs/retrieve/older"))
    succeed(semrsm(*arguments, "n_neighbours=1", "hydra.run.dir=outputs/retrieve/newer"))
    succeed(semrsm(*arguments, "n_neighbours=1", "seed=1", "hydra.run.dir=outputs/retrieve/seed"))
    result = succeed(semrsm("report", "hydra.run.dir=outputs/report/first"))
    assert "retrieval: 3 rows are left out, since newer runs have the same" in result.stderr
    succeed(semrsm("report", "hydra.run.dir=outputs/report/second"))
    for name in ("retrieval_scenes", "joined_retrieval"):
        files = [Path("outputs/report", run, "tables", f"{name}.csv").read_bytes() for run in ("first", "second")]
        assert files[0] == files[1]
    joined = table("joined_retrieval", "outputs/report/first")
    assert set(joined["run"]) == {"outputs/retrieve/newer", "outputs/retrieve/seed"}
    laid_out = table("retrieval_scenes", "outputs/report/first").set_index(["source", "kernel"])
    means = joined.groupby("kernel")["at_1"].mean()
    np.testing.assert_allclose(laid_out.loc["here", "20 none"].sort_index(), means.sort_index())
    spread = joined.groupby("kernel")["at_1"].std()
    np.testing.assert_allclose(laid_out.loc["between draws", "20 none"].sort_index(), spread.sort_index())
    for end in ("low", "high"):
        ends = joined.groupby("kernel")[f"ci_{end}"].mean()
        np.testing.assert_allclose(laid_out.loc[end, "20 none"].sort_index(), ends.sort_index())
    assert "Means over 2 seeds" in Path("outputs/report/first/tables/retrieval_scenes.md").read_text()


@pytest.mark.slow
@pytest.mark.drawn
def test_the_sweep_of_table_2_can_be_narrowed_and_ends_in_table_2(semrsm: Command, tmp_path: Path) -> None:
    root = egoobjects_files.write(tmp_path / "egoobjects", egoobjects_files.content())
    small = ("dataset.width=32", "dataset.height=18", "dataset.n_queries=3", "dataset.n_database=8,12")
    network = ("model=timm", "model.name=test_resnet", "model.weights=random", "model.label=CLIP", "n_pictures=0")
    sweep = ("experiment=retrieve_table2", f"dataset.root={root}", "--multirun", "hydra.sweep.dir=sweep")
    succeed(semrsm("retrieve", *sweep, *small, *network))
    succeed(semrsm("report", "runs=sweep", "hydra.run.dir=report"))
    assert set(table("table2")["model"]) == {"CLIP"}
    joined = table("joined_retrieval")
    assert set(joined["matching"].dropna()) == {"batch_optimal"}
    assert set(joined["n_database"]) == {8, 12}


@pytest.mark.drawn
def test_the_papers_numbers_stand_below_ours_in_all_formats(semrsm: Command) -> None:
    rows = paper.paper_table(2).rename(columns={"database_size": "n_database", "f1_at_1": "paper"})
    rows = rows.assign(at_1=rows["paper"] - 0.125, dataset="egoobjects", metric="count_f1")
    rows = rows.assign(
        ci_low=rows["at_1"] - 0.02, ci_high=rows["at_1"] + 0.02, n_queries=2000, matching="batch_optimal"
    )
    rows = rows.assign(difference_low=0.1, difference_high=0.2)
    for model, of_model in rows.groupby("model"):
        left_by_a_run(f"runs/{model.split()[0]}", "retrieval", of_model)
    result = succeed(semrsm("report", "runs=runs", "hydra.run.dir=report"))
    laid_out = table("table2")
    assert len(laid_out) == 5 * 3 * 5
    assert laid_out.query("source == 'low'")["5000 diff"].eq(0.1).all()
    assert laid_out.query("source == 'difference'").filter(regex="none|PI").eq(-0.125).all(axis=None)
    markdown, latex = (Path("report/tables", f"table2.{suffix}").read_text() for suffix in ("md", "tex"))
    assert "| SAM ViT/B32" in markdown
    assert "matched by batch_optimal" in markdown
    assert r"\multicolumn{3}{c}{10000}" in latex
    assert "0.125" in result.stdout
    for n in (2500, 5000, 10000):
        assert Path(f"report/figures/scores_egoobjects_{n}.png").stat().st_size > 10_000


def test_correlations_and_timings_are_joined_too(semrsm: Command) -> None:
    printed = paper.paper_table(1)
    rows = printed.assign(pearson=printed["pearson"], paper_pearson=printed["pearson"], dataset="imagenet")
    rows = rows.assign(n_samples=2000, spearman=0.5, paper_spearman=np.nan, matching="")
    rows = rows.assign(**{f"{name}_{end}": np.nan for name in ("pearson", "spearman") for end in ("low", "high")})
    left_by_a_run("runs/correlate", "correlation", rows)
    timed = pd.DataFrame({"method": ["scipy", "batch_optimal"], "batch": [np.nan, 128], "positions": 256})
    timed = timed.assign(model="ResNet101", dataset="tiny_imagenet", layer="layer3", n_exact=np.nan, n_pairs=9)
    timed = timed.assign(percent_low=98.5, percent_high=99.5)
    timed = timed.assign(seconds_mean=0.005, paper_seconds=0.004, percent_of_optimal=99.0, paper_percent=100.0)
    left_by_a_run("runs/bench", "matching", timed)
    left_by_a_run("runs/cka", "cka", pd.DataFrame([dict.fromkeys(CKA, "x") | {"cka": 0.5}]))
    result = succeed(semrsm("report", "runs=[runs/correlate,runs/bench,runs/cka]", "hydra.run.dir=report"))
    assert "+0.176" in Path("report/tables/table1.md").read_text()
    assert table("table5").set_index("source")["s = 256 ms"].dropna().tolist() == [5, 4, 1] * 2
    assert len(table("joined_cka")) == 1
    verdicts = table("verdicts")
    assert verdicts["verdict"].value_counts().to_dict() == {"agrees": 42, "not run": 270 - 42 - 2, "differs": 2}
    assert "Of 270 printed numbers: 42 agree, 2 differ, 226 not run." in result.stderr
    assert "joined_cka" in result.stdout


def test_names_in_foreign_tables_lead_out_of_no_folder(semrsm: Command) -> None:
    rows = paper.paper_table(2).rename(columns={"database_size": "n_database", "f1_at_1": "paper"})
    rows = rows.assign(at_1=rows["paper"], ci_low=0.1, ci_high=0.9, metric="count_f1", n_queries=1)
    rows = rows.assign(dataset="x/../../../../ESC/pwn", matching=r"\input FILE | <img>")
    rows = rows.assign(difference_low=0.1, difference_high=0.2)
    left_by_a_run("runs/foreign", "retrieval", rows)
    before = set(Path().rglob("*"))
    succeed(semrsm("report", "runs=runs", "hydra.run.dir=a/b/c/d/report"))
    files = {path for path in set(Path().rglob("*")) - before if path.is_file()}
    assert len({path for path in files if "ESC" in path.name}) == 3 + 2 * 3
    assert {path.parent.as_posix() for path in files} == {f"a/b/c/d/report{end}" for end in ("", "/tables", "/figures")}
    (latex,) = Path("a/b/c/d/report/tables").glob("retrieval_*.tex")
    assert r"\input" not in latex.read_text()


def test_runs_that_did_not_end_are_named_and_left_out(semrsm: Command) -> None:
    row = pd.DataFrame([dict.fromkeys(CKA, "x") | {"cka": 0.5}])
    left_by_a_run("runs/whole", "cka", row)
    left_by_a_run("runs/killed", "cka", row.assign(cka=0.25))
    Path("runs/killed/run.json").unlink()
    complaint = "runs/killed is left out: it has no run.json, so its run did not end"
    refuse(semrsm, "report", "runs=runs/killed", complaint=complaint, exit_code=1)
    result = succeed(semrsm("report", "runs=runs", "hydra.run.dir=report"))
    assert result.stderr == f"{complaint}\n"
    assert table("joined_cka")["cka"].tolist() == [0.5]


@pytest.fixture(scope="module")
def runs_of_two_models(run_once: Callable[..., tuple[Path, Result]]) -> dict[str, Path]:
    """Runs of two models that kept thumbnails of the first two queries."""
    settings = ("retrieve", *RANDOM, *FEW_SCENES, "n_thumbnails=2", "kernels=cosine")
    return {name: run_once(*settings, f"model.name={name}")[0] for name in ("test_resnet", "test_vit")}


@pytest.fixture
def two_models(semrsm: Command, runs_of_two_models: dict[str, Path]) -> str:
    """The same in the test's own folder."""
    for name, run in runs_of_two_models.items():
        shutil.copytree(run, Path("runs", name))
    return "runs=runs"


@pytest.mark.drawn
def test_a_query_is_drawn_for_all_models(semrsm: Command, two_models: str) -> None:
    query = pd.read_csv("runs/test_vit/tables/thumbnails.csv")["image"].iloc[0]
    succeed(semrsm("report", two_models, f"query={query}", "hydra.run.dir=report"))
    assert [path.name for path in Path("report/figures").glob("neighbours*.png")] == ["neighbours_scenes_20_1.png"]
    with Image.open("report/figures/neighbours_scenes_20_1.png") as figure:
        assert figure.width > figure.height
    shown = table("neighbours_scenes_20_1")
    assert shown["query"].unique().tolist() == [query]
    theirs = table("neighbours", "runs/test_vit").query("query == @query and invariance == 'permutation'")
    ours = shown.query("model == 'test_vit' and invariance == 'permutation'")
    assert ours["neighbour"].tolist() == theirs["neighbour"].tolist()


def test_a_query_without_thumbnails_is_one_line(semrsm: Command, two_models: str) -> None:
    late = pd.read_csv("runs/test_vit/tables/draw.csv")["image"].iloc[3]
    complaint = f"no runs kept thumbnails of the query {late}"
    refuse(semrsm, "report", two_models, f"query={late}", complaint=complaint, exit_code=1)


def test_lost_thumbnails_leave_their_run_out(semrsm: Command, two_models: str) -> None:
    Path("runs/test_vit/tables/thumbnails.csv").unlink()
    succeed(semrsm("report", two_models, "hydra.run.dir=report"))
    assert set(table("neighbours_scenes_20_1")["model"]) == {"test_resnet"}


def test_unlabelled_images_have_neighbours_but_no_layout(semrsm: Command) -> None:
    Path("mine").mkdir()
    for i in range(4):
        Image.new("RGB", (64, 48), (60 * i, 0, 90)).save(f"mine/{i}.png")
    for name in ("test_resnet", "test_vit"):
        settings = (
            f"model.name={name}",
            "dataset=folder",
            "dataset.root=mine",
            "n_pictures=0",
            f"hydra.run.dir=runs/{name}",
        )
        succeed(semrsm("retrieve", *RANDOM, *settings))
    succeed(semrsm("report", "runs=runs", "hydra.run.dir=report"))
    assert {path.name for path in Path("report/tables").glob("*")} == {
        *("joined_retrieval.csv", "neighbours_folder_4_1.csv", "neighbours_folder_4_2.csv", "runs.csv"),
        *(f"verdicts.{suffix}" for suffix in ("csv", "md", "tex")),
    }


def test_what_can_be_mended_is_one_line(semrsm: Command) -> None:
    Path("empty").mkdir()
    left_by_a_run("broken/run", "retrieval", pd.DataFrame({"model": ["A"], "dataset": ["B"], "n_database": [1]}))
    for settings, complaint, exit_code in (
        (["runs=empty"], "no run in empty left a table", 1),
        ([], "no run in outputs left a table", 1),
        (["runs=[empty,nowhere]"], "there is no folder nowhere", 1),
        (["runs=[]"], "runs names no folder", 2),
        (["n_pictures=-1"], "n_pictures must be at least 0", 2),
        (["runs=broken"], "retrieval.csv lacks the column 'metric'", 1),
    ):
        refuse(semrsm, "report", *settings, complaint=complaint, exit_code=exit_code)
