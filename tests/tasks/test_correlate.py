"""`semrsm correlate` on the embedded default, on the user's own arrays, and at size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import semrsm_cli
from semrsm_cli.data.photos import photos
from semrsm_cli.measures.agreement import (
    correlation_interval,
    jensen_shannon,
    permutation_test,
    resample_correlation,
    softmax,
)
from semrsm_cli.measures.resampling import holm, percentile_interval
from semrsm_cli.tasks.correlate import pairs
from semrsm_cli.tasks.correlate.task import _join_paper, _note_on
from tests.command import Command, refuse, succeed

COLUMNS = [
    *("model", "dataset", "n_samples", "kernel", "invariance", "matching"),
    *("pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high"),
    *("paper_pearson", "paper_spearman", "n_groups", "layer", "centering"),
    *("locality", "displacement", "matched_share"),
]
TESTS = [
    *("kernel", "statistic", "difference", "p_value", "n_permutations"),
    *("difference_low", "difference_high", "p_holm"),
]
FEW = ("n_resamples=20", "n_permutations=20")


def table(folder: str | Path, name: str = "correlation") -> pd.DataFrame:
    return pd.read_csv(Path(folder) / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def above(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)].astype(np.float64)


@pytest.fixture
def arrays(rng: np.random.Generator, tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Thirty images whose predictions follow what they show, and the files x.npy and logits.npy."""
    shown = rng.normal(size=(30, 3))
    x = (shown @ rng.normal(size=(3, 24))).reshape(30, 6, 4) + rng.normal(size=(30, 6, 4))
    x, logits = x.astype(np.float32), shown @ rng.normal(size=(3, 5))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "logits.npy", logits)
    return x, logits


@pytest.mark.slow
@pytest.mark.drawn
def test_default_gives_table_intervals_tests_and_figures(semrsm: Command) -> None:
    result = succeed(semrsm("correlate", "hydra.run.dir=first"))
    assert max(map(len, result.stdout.splitlines())) <= 80
    found = table("first")
    assert list(found) == COLUMNS
    assert set(found["n_samples"]) == {204}
    assert set(found["n_groups"]) == {12}, "regions of one photograph are resampled together"
    assert "n_groups 12" in result.stdout
    assert len(table("first", "images")) == 204
    assert found.set_index("invariance")["matching"].fillna("").to_dict() == {
        "none": "",
        "pooled": "",
        "permutation": "optimal",
    }
    divergence = above(np.load("first/arrays/divergence.npy"))
    for row in found.itertuples():
        similarity = above(np.load(f"first/arrays/{row.kernel}_{row.invariance}.npy"))
        assert row.pearson == pytest.approx(stats.pearsonr(similarity, divergence).statistic, abs=1e-9)
        assert row.spearman == pytest.approx(stats.spearmanr(similarity, divergence).statistic, abs=1e-9)
        assert row.pearson_low < row.pearson < row.pearson_high < 0, "similar regions are predicted alike"
        assert row.spearman_low < row.spearman < row.spearman_high
    tests = table("first", "tests")
    values = found.set_index(["kernel", "invariance"])
    for row in tests.itertuples():
        of_kernel = values.loc[row.kernel, row.statistic]
        assert row.difference == pytest.approx(of_kernel["permutation"] - of_kernel["none"], abs=1e-9)
        assert 0 < row.p_value <= row.p_holm <= 1
        assert row.difference_low < row.difference < row.difference_high
    assert list(tests) == TESTS
    np.testing.assert_allclose(tests["p_holm"], holm(tests["p_value"]))
    for suffix in ("md", "tex"):
        assert "permutation test is approximate" in Path(f"first/tables/tests.{suffix}").read_text()
        assert "12 groups of images" in Path(f"first/tables/correlation.{suffix}").read_text()
    counts = table("first", "density").groupby(["kernel", "invariance"])["pairs"].sum()
    assert counts.between(0.998 * divergence.size, divergence.size).all()
    for figure in ("density", "intervals"):
        assert Path(f"first/figures/{figure}.png").stat().st_size > 10_000
    run = json.loads(Path("first/run.json").read_text())
    assert {"network", "image_ids_hash", "seed", "layer", "centering"} <= set(run)
    assert "forecast_seconds" not in run, "it is a matter of seconds"


def test_intervals_and_tests_draw_whole_photographs(semrsm: Command) -> None:
    arguments = ("n_images=40", "kernels=[cosine]", "invariances=[none,permutation]", *FEW)
    succeed(semrsm("correlate", *arguments, "hydra.run.dir=run"))
    images = table("run", "images")["image"]
    groups = images.str.split("/").str[0].tolist()
    assert 6 < len(set(groups)) < 13
    x, baseline, y = (np.load(f"run/arrays/{name}.npy") for name in ("cosine_permutation", "cosine_none", "divergence"))
    resampled = [resample_correlation(matrix, y, groups=groups, n_resamples=20) for matrix in (x, baseline)]
    row = table("run").set_index("invariance").loc["permutation"]
    assert (row["pearson_low"], row["pearson_high"]) == pytest.approx(percentile_interval(resampled[0]))
    test = table("run", "tests").set_index("statistic").loc["pearson"]
    expected = percentile_interval(resampled[0] - resampled[1])
    assert (test["difference_low"], test["difference_high"]) == pytest.approx(expected)
    tested = permutation_test(x, baseline, y, groups=groups, n_permutations=20)
    assert (test["difference"], test["p_value"]) == pytest.approx(tested)


@pytest.mark.usefixtures("arrays")
def test_images_that_stand_alone_are_resampled_one_by_one(semrsm: Command) -> None:
    succeed(semrsm("correlate", "x=x.npy", "logits=logits.npy", "hydra.run.dir=run", *FEW))
    assert set(table("run")["n_groups"]) == {30}
    assert "95 % over 30 images" in Path("run/tables/correlation.md").read_text()
    for row in table("run").itertuples():
        x, y = np.load(f"run/arrays/{row.kernel}_{row.invariance}.npy"), np.load("run/arrays/divergence.npy")
        assert (row.pearson_low, row.pearson_high) == pytest.approx(correlation_interval(x, y, n_resamples=20))


def test_images_of_one_scene_have_no_interval(semrsm: Command) -> None:
    one = ("dataset=scenes", "dataset.n_scenes=1", "dataset.n_videos=4", "dataset.n_queries=1")
    succeed(semrsm("correlate", *one, "kernels=[cosine]", "hydra.run.dir=run", *FEW))
    found = table("run")
    assert set(found["n_groups"]) == {1}
    assert found[["pearson_low", "spearman_high"]].isna().all(axis=None)
    assert table("run", "tests")[["p_value", "p_holm", "difference_low"]].isna().all(axis=None)
    assert "95 %" not in Path("run/tables/correlation.md").read_text() + Path("run/tables/tests.md").read_text()


@pytest.mark.slow
def test_own_arrays_give_what_the_library_gives(semrsm: Command, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    x, logits = arrays
    succeed(semrsm("correlate", "x=x.npy", "logits=logits.npy", "hydra.run.dir=run", *FEW))
    divergence = above(jensen_shannon(softmax(logits)))
    centred = x - x.mean(axis=0)
    for row in table("run").itertuples():
        if row.invariance == "pooled":
            similarity = semrsm_cli.rsm(
                centred.mean(axis=1, keepdims=True), kernel=row.kernel, invariance="none", centering="none"
            )
        else:
            similarity = semrsm_cli.rsm(centred, kernel=row.kernel, invariance=row.invariance)
        expected = stats.pearsonr(above(similarity), divergence).statistic
        assert row.pearson == pytest.approx(expected, abs=1e-5), (row.kernel, row.invariance)
        written = np.load(f"run/arrays/{row.kernel}_{row.invariance}.npy")
        np.testing.assert_allclose(written, similarity, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(written, written.T)
    succeed(semrsm("correlate", "x=x.npy", "logits=logits.npy", "hydra.run.dir=again", *FEW))
    files = [path.relative_to("run") for path in Path("run").rglob("*.*") if path.name != "run.json"]
    assert files
    for file in files:
        assert Path("run", file).read_bytes() == Path("again", file).read_bytes(), file


@pytest.mark.slow
@pytest.mark.usefixtures("arrays")
def test_strips_and_blocks_of_any_size_give_the_same(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"median": (), "tiles": ("sigma_tile=7",), "given": ("sigma=3.5",)}
    command = ("correlate", "x=x.npy", "logits=logits.npy", *FEW)
    for way, settings in ways.items():
        succeed(semrsm(*command, *settings, f"hydra.run.dir=whole/{way}"))
    monkeypatch.setattr(pairs, "_PAIRS_AT_ONCE", 8 * 30)
    monkeypatch.setattr("semrsm_cli.measures.pairs._PAIRS_AT_ONCE", 4 * 30)
    for way, settings in ways.items():
        succeed(semrsm(*command, *settings, f"hydra.run.dir=strips/{way}"))
        strips, whole = Path("strips", way), Path("whole", way)
        pd.testing.assert_frame_equal(table(strips), table(whole), rtol=1e-5)
        for file in (whole / "arrays").iterdir():
            found, expected = np.load(strips / "arrays" / file.name), np.load(file)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=f"{way} {file.name}")


def test_sigma_of_tiles_is_the_kernels_in_the_order_told(
    semrsm: Command, arrays: tuple[np.ndarray, np.ndarray]
) -> None:
    x, logits = arrays
    for order in ("drawn", "files"):
        settings = ("sigma_tile=7", "kernels=[rbf]", "invariances=[none]", f"image_order={order}")
        succeed(semrsm("correlate", "x=x.npy", "logits=logits.npy", *settings, f"hydra.run.dir={order}", *FEW))
        rows = table(order, "images")["image"].to_numpy()
        assert sorted(rows) == list(range(30))
        assert (list(rows) == sorted(rows)) == (order == "files")
        expected = semrsm_cli.rsm((x - x.mean(axis=0))[rows], kernel="rbf", invariance="none", sigma_tile=7)
        np.testing.assert_allclose(above(np.load(f"{order}/arrays/rbf_none.npy")), above(expected), rtol=1e-4)
        probabilities = softmax(logits[rows])
        divergence = above(jensen_shannon(probabilities, probabilities))
        np.testing.assert_allclose(above(np.load(f"{order}/arrays/divergence.npy")), divergence, rtol=1e-4, atol=1e-7)


@pytest.mark.usefixtures("arrays")
def test_the_order_of_arrays_matters_to_tiles_alone(semrsm: Command) -> None:
    for order in ("drawn", "files"):
        settings = (f"image_order={order}", f"hydra.run.dir={order}", *FEW)
        succeed(semrsm("correlate", "x=x.npy", "logits=logits.npy", *settings))
    pd.testing.assert_frame_equal(table("drawn"), table("files"))


@pytest.mark.slow
def test_images_of_classes_are_mixed_in_every_tile(semrsm: Command) -> None:
    for order in ("drawn", "files"):
        settings = ("invariances=[none]", "kernels=[rbf]", "sigma_tile=17", f"image_order={order}", *FEW)
        succeed(semrsm("correlate", *settings, f"hydra.run.dir={order}", "arrays=false"))
    succeed(semrsm("correlate", *settings[:2], "hydra.run.dir=whole", "arrays=false", *FEW))
    whole, drawn, files = (table(run)["pearson"].item() for run in ("whole", "drawn", "files"))
    assert abs(drawn - whole) < 0.02 < abs(files - whole)
    shown = table("drawn", "images")["image"].str.split("/").str[0]
    assert all(shown[start : start + 17].nunique() > 3 for start in range(0, 204, 17))


def test_matching_is_taken_from_the_store(
    semrsm: Command, arrays: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("correlate", "x=x.npy", "logits=logits.npy", *FEW)
    succeed(semrsm(*command, "hydra.run.dir=first"))
    monkeypatch.setattr("semrsm_cli.store.TileFolder.save", lambda *_: pytest.fail("a tile was counted again"))
    succeed(semrsm(*command, "hydra.run.dir=second", "arrays=false"))
    assert Path("first/tables/correlation.csv").read_bytes() == Path("second/tables/correlation.csv").read_bytes()
    assert not Path("second/arrays").exists()


@pytest.mark.drawn
def test_depth_shows_all_layers_and_the_table_the_last(semrsm: Command) -> None:
    result = semrsm(
        *("correlate", "n_images=12", "model.layers=[blocks.5,blocks.6]", "invariances=[none,translation]"),
        *("kernels=[cosine]", "hydra.run.dir=run", *FEW),
    )
    assert result.exit_code == 0, result.output
    depth = table("run", "depth")
    assert depth["layer"].tolist() == ["blocks.5"] * 2 + ["blocks.6"] * 2
    assert depth["pearson"].tolist()[2:] == table("run")["pearson"].tolist()
    assert not Path("run/tables/tests.csv").exists(), "nothing to compare without permutation"
    assert Path("run/figures/depth.png").stat().st_size > 10_000


def correlations(n_samples: int, dataset: str = "imagenet", model: str = "ResNet18") -> pd.DataFrame:
    rows = [
        {"model": model, "dataset": dataset, "n_samples": n_samples, "kernel": kernel, "invariance": invariance}
        for kernel in ("cosine", "rbf")
        for invariance in ("none", "pooled", "permutation")
    ]
    return pd.DataFrame(rows)


def joined(n_samples: int, **changes: object) -> pd.DataFrame:
    """The table of a run as the paper has it, but for `changes`."""
    settings = {"dataset.name": "imagenet", "n_images": n_samples, "model.weights": "pretrained"}
    settings |= {"centering": "sample", "sigma": None, "matching.method": "optimal"}
    model = str(changes.pop("model", "ResNet18"))
    return _join_paper(correlations(n_samples, model=model), settings | changes, 49)


def test_the_papers_numbers_stand_beside_ours() -> None:
    columns = ["paper_pearson", "paper_spearman"]
    small, large = (joined(n).set_index(["kernel", "invariance"])[columns] for n in (2000, 20000))
    assert small.loc[("cosine", "permutation")].tolist() == pytest.approx([-0.326, np.nan], nan_ok=True)
    assert large.loc[("cosine", "permutation")].tolist() == [-0.328, -0.337]
    assert large.loc[("rbf", "none")].tolist() == [-0.174, -0.435]
    assert small.loc[("cosine", "pooled")].isna().all()
    others = ({"model": "VGG"}, {"dataset.name": "photos"}, {"model.weights": "random"}, {"centering": "none"})
    for table in (joined(2001), *(joined(2000, **change) for change in others)):
        assert table[columns].isna().all(axis=None)
    greedy = joined(2000, **{"matching.method": "greedy"}).set_index("invariance")["paper_pearson"]
    assert greedy["permutation"].isna().all(), "the paper matches otherwise"
    assert greedy["none"].notna().all()


def test_the_doubtful_sign_is_remarked_where_it_is_shown() -> None:
    assert "lost in print" in _note_on(joined(2000), "")
    assert _note_on(joined(20000), "") == ""
    assert _note_on(joined(2000, model="ResNet50"), "") == ""


def test_intervals_and_tests_can_be_left_out(semrsm: Command, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    result = semrsm(
        "correlate", "x=x.npy", "logits=logits.npy", "n_resamples=0", "n_permutations=0", "hydra.run.dir=run"
    )
    assert result.exit_code == 0, result.output
    found = table("run")
    assert found[["pearson_low", "spearman_high"]].isna().all(axis=None)
    assert not Path("run/tables/tests.csv").exists()


def broken(x: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
    nan = logits.copy()
    nan[[4, 9], 1] = np.nan
    not_finite = x.copy()
    not_finite[3, 0, 0] = np.inf
    return {
        "constant": np.ones_like(x),
        "short": x[:2],
        "one": x[:1],
        "infinite": not_finite,
        "logits_short": logits[:2],
        "logits_one": logits[:1],
        "logits_nan": nan,
        "logits_same": np.repeat(logits[:1], len(logits), axis=0),
        "logits_apart": 1e4 * np.eye(len(logits)),
    }


WRONG = [
    (
        ["x=constant.npy", "logits=logits.npy"],
        "centring leaves nothing of x [30, 6, 4]",
        1,
    ),
    (["x=one.npy", "logits=logits_one.npy"], "needs at least 3 images, got 1 in one.npy", 1),
    (["x=short.npy", "logits=logits_short.npy"], "needs at least 3 images, got 2 in short.npy", 1),
    (["x=x.npy", "logits=logits_one.npy"], "same images, got 30 in x.npy and 1 in logits_one.npy", 1),
    (["x=x.npy", "logits=logits_nan.npy"], "hold NaN or infinity for 2 of 30 images, the first is 4", 1),
    (["x=x.npy", "logits=logits_same.npy"], "all 30 images get the same prediction", 1),
    (["x=x.npy", "logits=logits_apart.npy"], "divergence is constant (0.693147) over all 435 pairs", 1),
    (["x=infinite.npy", "logits=logits.npy"], "in infinite.npy hold NaN or infinity for 1 of 30 images", 1),
    (["x=x.npy", "logits=x.npy"], "x.npy must hold numbers [n, classes], got float32 [30, 6, 4]", 1),
    (["x=x.npy"], "x and logits belong together", 2),
    (["x=x.npy", "logits=logits.npy", "invariances=[translation]"], "translation needs the grid of x's positions", 2),
    (["invariances=[rotation]"], "'rotation', expected one of [none, translation, permutation, pooled, maxsim]", 2),
    (["kernels=[]"], "kernels is empty", 2),
    (["n_images=2"], "n_images must be at least 3, got 2", 2),
    (["sigma=1", "sigma_tile=100"], "give one of the two", 2),
    (
        ["+model.options.num_classes=0", "model=timm", "model.name=resnet18", "model.weights=random"],
        "no classes",
        2,
    ),
]


def test_errors_are_one_line(semrsm: Command, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    for name, array in broken(*arrays).items():
        np.save(f"{name}.npy", array)
    for arguments, complaint, exit_code in WRONG:
        refuse(semrsm, "correlate", *arguments, *FEW, complaint=complaint, exit_code=exit_code)


def test_identical_images_are_named(semrsm: Command, tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    for i in range(3):
        photos(regions=1)[0].save(tmp_path / "same" / f"{i}.png")
    complaint = "all 3 images get the same prediction"
    refuse(semrsm, "correlate", "dataset=folder", "dataset.root=same", complaint=complaint, exit_code=1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_named(
    semrsm: Command, arrays: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        complaint = "No space left on device; set SEMRSM_CACHE to a disk with more room"
        refuse(semrsm, "correlate", "x=x.npy", "logits=logits.npy", *FEW, complaint=complaint, exit_code=1)


PEAK = """
import json, sys
from semrsm_cli.cli import app
app(["correlate", "x=x.npy", "logits=logits.npy", "kernels=[cosine]", "invariances=[none]", "arrays=false",
     "n_resamples=10", "hydra.run.dir=run"], standalone_mode=False)
"""


def peak_mib(folder: Path, n: int, rng: np.random.Generator) -> int:
    """Memory in MiB that a run on n images took."""
    folder.mkdir()
    x = rng.normal(size=(n, 1, 4)).astype(np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "logits.npy", x[:, 0, :3])
    environment = os.environ | {"SEMRSM_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-c", PEAK], cwd=folder, env=environment, check=True, capture_output=True)
    return int(json.loads((folder / "run" / "run.json").read_text())["peak_memory_mib"])


@pytest.mark.slow
def test_memory_holds_no_matrix(tmp_path: Path, rng: np.random.Generator) -> None:
    n = 7_000
    added = peak_mib(tmp_path / "large", n, rng) - peak_mib(tmp_path / "small", 2000, rng)
    assert added < n * n * 8 / 2**20
