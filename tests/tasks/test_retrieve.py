"""`semrsm retrieve` on the embedded default, in the formats of both data sets, and on one's own images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import Result

from semrsm_cli.data import RetrievalSplit, write_split
from semrsm_cli.data.egoobjects import ANNOTATIONS
from semrsm_cli.data.photos import photos
from semrsm_cli.measures.resampling import cluster_interval
from semrsm_cli.store import TileFolder
from tests.command import Command, refuse, succeed
from tests.data import cityscapes_files, egoobjects_files

SMALL = ("model=timm", "model.name=test_resnet", "model.weights=random")
TOKENS = ("model=timm", "model.name=test_vit", "model.weights=random")
FEW_SCENES = ("dataset.n_scenes=4", "dataset.n_videos=3", "dataset.n_queries=4")
NO_PICTURES = ("n_pictures=0", "n_thumbnails=0")
RETRIEVAL = [
    *("model", "dataset", "n_queries", "n_database", "kernel", "invariance", "matching", "metric"),
    *("at_1", "ci_low", "ci_high", "best_of_5", "paper"),
    *("difference", "difference_low", "difference_high", "n_groups", "layer", "centering"),
    *("locality", "displacement", "matched_share"),
]


def folder() -> Path:
    (found,) = Path("outputs", "retrieve").iterdir()
    return found


def table(name: str, run: Path | str | None = None) -> pd.DataFrame:
    return pd.read_csv(Path(run or folder()) / "tables" / f"{name}.csv")


def files_of(run: str) -> dict[str, bytes]:
    paths = [path for path in Path(run).rglob("*.*") if path.name != "run.json"]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def few(run_once: Callable[..., tuple[Path, Result]]) -> Path:
    """What a small network makes of a few scenes."""
    return run_once("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES)[0]


# The embedded default


@pytest.mark.slow
@pytest.mark.drawn
def test_default_shows_that_permutation_invariance_finds_what_was_laid_out_anew(semrsm: Command) -> None:
    result = succeed(semrsm("retrieve"))
    rows = table("retrieval")
    assert list(rows) == RETRIEVAL
    assert set(rows["metric"]) == {"count_f1"}
    for kernel, of_kernel in rows.groupby("kernel"):
        by = of_kernel.set_index("invariance")
        assert 0.1 < by.loc["permutation", "difference_low"] < by.loc["permutation", "difference"], kernel
        assert by.loc["none", "at_1"] < by.loc["pooled", "at_1"] < by.loc["permutation", "at_1"], kernel
        assert (by["best_of_5"] >= by["at_1"]).all()
    assert rows.loc[rows["invariance"] == "permutation", "matching"].tolist() == ["optimal"] * 3
    assert rows.loc[rows["invariance"] != "permutation", "matching"].isna().all()
    neighbours = table("neighbours")
    assert list(neighbours) == ["kernel", "invariance", "query", "rank", "neighbour", "similarity", "score"]
    assert len(neighbours) == 3 * 3 * 64 * 5
    first = neighbours[neighbours["rank"] == 1].groupby(["kernel", "invariance"])["score"].mean()
    np.testing.assert_allclose(first.sort_index(), rows.set_index(["kernel", "invariance"])["at_1"].sort_index())
    for figure in ("scores", "neighbours_1", "neighbours_4", "matched_1", "matched_4"):
        for suffix in ("png", "pdf"):
            assert (folder() / "figures" / f"{figure}.{suffix}").stat().st_size > 10_000
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "resampled 22 scenes" in result.stdout
    assert "vs_none_95%" in result.stdout


@pytest.mark.parametrize(("unit", "of_query"), [("scene", 1), ("video", 2), ("query", 3), (None, 1)])
def test_intervals_resample_scenes_or_what_is_asked_for(
    semrsm: Command, few: Path, unit: str | None, of_query: int
) -> None:
    run = few
    if unit is not None:
        succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, f"resample_by={unit}", "hydra.run.dir=run"))
        run = Path("run")
    first = table("neighbours", run).query("rank == 1")
    for row in table("retrieval", run).itertuples():
        assert [row.ci_low, row.ci_high] == pytest.approx(interval(scores_of(first, row), of_query, (0, 1)))
        if row.invariance == "permutation":
            gain = scores_of(first, row) - scores_of(first, row._replace(invariance="none"))
            assert row.difference == pytest.approx(gain.mean())
            assert [row.difference_low, row.difference_high] == pytest.approx(interval(gain, of_query, (-1, 1)))
        else:
            assert np.isnan([row.difference, row.difference_low, row.difference_high]).all()
        assert row.n_groups == len({name_of(query, of_query) for query in first["query"]})
    assert json.loads((run / "run.json").read_text())["resample_by"] == (unit or "scene")


def scores_of(first: pd.DataFrame, row: NamedTuple) -> pd.Series:
    """The scores of the queries' first neighbours under the kernel and invariance of a row."""
    chosen = first[(first["kernel"] == row.kernel) & (first["invariance"] == row.invariance)]
    return chosen.set_index("query")["score"]


def name_of(query: str, n_parts: int) -> str:
    """The scene, the video or the image that the file SCENE_VIDEO_FRAME of a query belongs to."""
    return "_".join(query.split("_")[:n_parts])


def interval(values: pd.Series, of_query: int, limits: tuple[float, float]) -> list[float]:
    groups = [name_of(query, of_query) for query in values.index]
    return cluster_interval(values, groups, limits=limits).tolist()


def test_one_scene_has_no_interval_and_no_difference_is_taken_without_both(semrsm: Command) -> None:
    few = ("dataset.n_scenes=1", "dataset.n_videos=3", "dataset.n_queries=3", "kernels=[cosine]", *NO_PICTURES)
    for number, settings in enumerate((["invariances=[permutation]"], ["n_resamples=0", "dataset.n_scenes=4"], [])):
        succeed(semrsm("retrieve", *SMALL, *few, *settings, f"hydra.run.dir={number}"))
        rows = table("retrieval", str(number))
        assert rows["at_1"].notna().all()
        assert rows[["ci_low", "ci_high", "difference_low", "difference_high"]].isna().all(axis=None)
        of_permutation = rows[rows["invariance"] == "permutation"]
        assert of_permutation["difference"].notna().all() == (number > 0)
        assert (Path(str(number)) / "figures" / "scores.png").exists()


def test_same_command_gives_the_same_bytes(semrsm: Command) -> None:
    for run in ("first", "second"):
        succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, "n_pictures=1", f"hydra.run.dir={run}"))
    assert files_of("first") == files_of("second")
    assert "figures/matched_1.png" in files_of("first")


def test_run_json_tells_what_the_paper_leaves_open(semrsm: Command) -> None:
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "seed=3"))
    facts = json.loads((folder() / "run.json").read_text())
    assert {"cls_token", "readout", "centering", "image_ids_hash", "layer", "network"} <= set(facts)
    assert (facts["seed"], facts["n_queries"], facts["n_database"]) == (3, 4, 20)
    assert facts["dataset_settings"]["n_videos"] == 3
    assert facts["sigma"] == "median within all images"


def test_sigma_within_mini_batches_changes_the_rbf_kernel_alone(semrsm: Command, few: Path) -> None:
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "sigma_tile=3", "hydra.run.dir=tiles"))
    whole, tiles = (table("neighbours", run).query("invariance == 'none'") for run in (few, "tiles"))
    for kernel in ("cosine", "linear"):
        pd.testing.assert_frame_equal(*(side[side["kernel"] == kernel] for side in (whole, tiles)))
    similarities = [side.loc[side["kernel"] == "rbf", "similarity"].to_numpy() for side in (whole, tiles)]
    assert not np.allclose(*similarities)


def test_the_order_of_the_images_changes_tiles_of_sigma_alone(semrsm: Command, few: Path) -> None:
    arguments = ("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "image_order=files")
    succeed(semrsm(*arguments, "hydra.run.dir=files"))
    drawn, files = table("draw", few), table("draw", "files")
    assert list(drawn["image"]) != list(files["image"])
    for role, of_role in files.groupby("role"):
        assert list(of_role["image"]) == sorted(drawn.loc[drawn["role"] == role, "image"]), role
    keys = ["kernel", "invariance", "query", "rank"]
    one, other = (table("neighbours", run).set_index(keys).sort_index() for run in (few, "files"))
    assert one["neighbour"].equals(other["neighbour"])
    np.testing.assert_allclose(one["similarity"], other["similarity"], rtol=1e-3)
    for order in ("drawn", "files"):
        succeed(semrsm(*arguments[:-1], "sigma_tile=3", f"image_order={order}", f"hydra.run.dir=tiles_{order}"))
    rbf = [table("neighbours", f"tiles_{order}").query("kernel == 'rbf'") for order in ("drawn", "files")]
    one, other = (side.set_index(keys).sort_index()["similarity"] for side in rbf)
    assert not np.allclose(one, other)


@pytest.mark.slow
def test_sigma_within_tiles_finds_what_one_sigma_finds(semrsm: Command) -> None:
    scores = {}
    for seed in range(6):
        for tile in ("null", "16"):
            run = f"tile_{tile}_of_{seed}"
            settings = (*NO_PICTURES, "kernels=[rbf]", "n_resamples=0", f"seed={seed}", f"sigma_tile={tile}")
            succeed(semrsm("retrieve", *settings, f"hydra.run.dir={run}"))
            scores[seed, tile] = table("retrieval", run).set_index("invariance")["at_1"]
    means = pd.DataFrame(scores).T.groupby(level=1).mean()
    assert (means.loc["16"] - means.loc["null"]).abs().max() < 0.02


def test_what_the_network_does_not_see_of_a_frame_is_told(semrsm: Command) -> None:
    arguments = ("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "invariances=[none]")
    for framing in ("own", "squash", "pad"):
        result = succeed(semrsm(*arguments, f"model.framing={framing}", f"hydra.run.dir={framing}"))
        facts = json.loads(Path(framing, "run.json").read_text())
        lines = [line for line in result.stderr.splitlines() if "frame" in line]
        assert (facts["framing"], facts["images_turned"]) == (framing, 0)
        if framing == "own":
            assert facts["share_seen"]["mean"] == pytest.approx(0.51, abs=0.01)
            seen = "sees 51 % of a 512 x 288 frame; model.framing=squash or pad shows it the whole"
            assert [line.endswith(seen) for line in lines] == [True]
        else:
            assert facts["share_seen"]["least"] == pytest.approx(1, abs=0.01)
            assert lines == []
    result = semrsm("translate", *SMALL, "model.framing=pad")
    assert result.exit_code == 2
    assert "model.framing=pad changes nothing where size= or a crop makes a square" in result.stderr


def test_translation_lies_between_for_maps_and_is_left_out_for_tokens(semrsm: Command) -> None:
    invariances = "invariances=[none,translation,permutation]"
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, invariances, "kernels=[linear]"))
    largest = table("neighbours").groupby(["query", "invariance"])["similarity"].max().unstack()
    slack = 1e-3 * largest["permutation"].abs()
    assert (largest["none"] <= largest["translation"] + slack).all()
    assert (largest["translation"] <= largest["permutation"] + slack).all()
    result = succeed(semrsm("retrieve", *TOKENS, *FEW_SCENES, *NO_PICTURES, invariances, "hydra.run.dir=tokens"))
    assert "translation is left out, since its positions lie on no map of a CNN\n" in result.stderr
    assert set(table("retrieval", "tokens")["invariance"]) == {"none", "permutation"}
    result = semrsm("retrieve", *TOKENS, *FEW_SCENES, *NO_PICTURES, "invariances=translation", "hydra.run.dir=alone")
    assert result.exit_code == 2
    assert "translation needs the grid of retrieval's positions, which only CNN maps have" in result.stderr


def test_maxsim_exceeds_permutation_and_a_second_matching_finds_all_but_its_own(
    semrsm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("invariances=[none,maxsim,permutation]", "kernels=[linear]", "n_neighbours=20", "centering=channel")
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, *settings))
    of_pair = (
        table("neighbours").pivot(index=["query", "neighbour"], columns="invariance", values="similarity").dropna()
    )
    assert len(of_pair) > 20
    assert (of_pair["maxsim"] >= of_pair["permutation"] * (1 - 1e-6)).all()
    saved: list[str] = []
    save = TileFolder.save
    monkeypatch.setattr(TileFolder, "save", lambda self, *tile: (saved.append(self.key), save(self, *tile))[-1])
    again = ("matching=batch_optimal", "matching.batch=3", "hydra.run.dir=again")
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, *settings, *again))
    assert len(set(saved)) == 1


def test_patches_of_a_transformer_are_drawn_with_and_without_class_token(semrsm: Command) -> None:
    settings = ("n_pictures=1", "n_thumbnails=0", "invariances=[none,permutation]")
    for how in ("keep", "drop"):
        succeed(semrsm("retrieve", *TOKENS, *FEW_SCENES, *settings, f"model.cls_token={how}", f"hydra.run.dir={how}"))
        assert Path(how, "figures", "matched_1.png").exists(), how


@pytest.mark.drawn
def test_queries_of_another_size_are_matched_as_far_as_they_go(semrsm: Command) -> None:
    by_two = ("invariances=[none,permutation,pooled,maxsim]", "kernels=[linear]", "n_thumbnails=1")
    settings = (*SMALL, *FEW_SCENES, "n_pictures=1", *by_two)
    result = succeed(semrsm("retrieve", *settings, "query_size=96", "hydra.run.dir=run"))
    assert "none is left out, since queries have 9 positions and database images 25" in result.output
    assert list(table("retrieval", "run")["invariance"]) == ["permutation", "pooled"]
    assert table("retrieval", "run")["paper"].isna().all()
    facts = json.loads(Path("run/run.json").read_text())
    assert (facts["positions"], facts["positions_database"]) == (9, 25)
    for name in ("matched_1", "neighbours_1", "scores"):
        assert Path("run/figures", f"{name}.png").stat().st_size > 10_000
    assert not Path("run/tables/matched.csv").exists()
    result = semrsm("retrieve", *settings, "query_size=96", "matching=batch_optimal", "hydra.run.dir=other")
    assert result.exit_code == 1
    assert "got (9, 96) and (25, 96)" in result.stderr


@pytest.mark.slow
def test_queries_of_another_size_hang_on_neither_order_nor_threads_nor_what_was_stored(semrsm: Command) -> None:
    settings = (*SMALL, *FEW_SCENES, "n_pictures=0", "n_thumbnails=0", "query_size=96")
    succeed(semrsm("retrieve", *settings, "hydra.run.dir=run", "runtime.threads=2"))
    draw = table("draw", "run").sample(frac=1, random_state=0)
    draw.to_csv("shuffled.csv", index=False)
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, "n_pictures=0", "n_thumbnails=0", "hydra.run.dir=own_size"))
    again = ("dataset.split_file=shuffled.csv", "hydra.run.dir=again", "runtime.threads=1")
    succeed(semrsm("retrieve", *settings, *again))
    by = ["kernel", "invariance", "query", "rank"]
    first, second = (table("neighbours", name).sort_values(by).reset_index(drop=True) for name in ("run", "again"))
    pd.testing.assert_frame_equal(first[[*by, "neighbour"]], second[[*by, "neighbour"]])
    np.testing.assert_allclose(first["similarity"], second["similarity"], rtol=1e-3)
    np.testing.assert_allclose(table("retrieval", "run")["at_1"], table("retrieval", "again")["at_1"], rtol=1e-12)


def test_thumbnails_are_kept_of_the_first_queries_and_their_neighbours(semrsm: Command) -> None:
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, "n_pictures=0", "n_thumbnails=2", "kernels=[linear,cosine]"))
    kept = table("thumbnails").set_index("image")
    queries = table("draw").query("role == 'query'")["image"].tolist()
    neighbours = table("neighbours").query("kernel == 'linear' and invariance != 'pooled'")
    shown = neighbours[neighbours["query"].isin(queries[:2])]
    assert set(kept.index) == {*queries[:2], *shown["neighbour"]}
    for file in kept["file"]:
        with Image.open(folder() / file) as picture:
            assert max(picture.size) == 192


def test_a_gallery_keeps_what_was_matched_under_every_kernel(semrsm: Command) -> None:
    settings = ("n_pictures=0", "n_thumbnails=2", "n_neighbours=3", "dataset.n_database=8")
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *settings))
    kept, matched = table("gallery").set_index("image"), table("matched")
    queries = table("draw").query("role == 'query'")["image"].tolist()[:2]
    neighbours = table("neighbours").query("query in @queries")
    assert set(kept.index) == {*queries, *neighbours["neighbour"]}
    semantic = neighbours.query("invariance == 'permutation'")
    pairs = list(zip(matched["query"], matched["neighbour"], strict=True))
    assert set(pairs) == set(zip(semantic["query"], semantic["neighbour"], strict=True))
    assert len(set(pairs)) == len(pairs)
    patches = np.load(folder() / "arrays" / "matched.npy")
    assert len(patches) == len(matched)
    assert (matched["height"] * matched["width"] == patches.shape[1]).all()
    np.testing.assert_array_equal(np.sort(patches, axis=1), np.tile(np.arange(patches.shape[1]), (len(patches), 1)))
    with Image.open(folder() / kept["file"].iloc[0]) as picture:
        assert max(picture.size) == 160


def test_a_class_token_is_no_patch_of_a_gallery(semrsm: Command) -> None:
    settings = ("n_pictures=0", "n_thumbnails=1", "n_neighbours=2", "dataset.n_database=8", "model.cls_token=keep")
    succeed(semrsm("retrieve", *TOKENS, *FEW_SCENES, *settings))
    patches = np.load(folder() / "arrays" / "matched.npy")
    sizes = table("matched")
    assert patches.shape[1] == sizes["height"].iloc[0] * sizes["width"].iloc[0]
    for row in patches:
        partners = row[row >= 0]
        assert len(row) - len(partners) <= 1
        assert len(set(partners)) == len(partners)


def test_what_takes_long_is_told_beforehand(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semrsm_cli.pipeline.grams._WORK_TO_ESTIMATE", 0)
    monkeypatch.setattr("semrsm_cli.pipeline.grams._SECONDS_TO_LOG", -1)
    result = succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "invariances=[permutation]", "seed=8"))
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("permutation retrieval: ")]
    assert "80 pairs, about 0 seconds, " in line
    assert " of memory, 1.2 KiB in the store" in line


def test_second_run_takes_its_tiles_from_the_store(semrsm: Command, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semrsm_cli.store.TileFolder.save", lambda *_: pytest.fail("a tile was counted again"))
    succeed(semrsm("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "hydra.run.dir=second"))
    tables = [Path(run, "tables", "neighbours.csv").read_bytes() for run in (few, "second")]
    assert tables[0] == tables[1]


# EgoObjects


@pytest.fixture
def egoobjects(tmp_path: Path) -> Path:
    return egoobjects_files.write(tmp_path / "egoobjects", egoobjects_files.content())


def of_egoobjects(root: Path, *settings: str) -> tuple[str, ...]:
    size = ("dataset.width=32", "dataset.height=18")
    return ("retrieve", "dataset=egoobjects", f"dataset.root={root}", *size, *SMALL, *NO_PICTURES, *settings)


def test_egoobjects_with_all_its_oddities(semrsm: Command, egoobjects: Path) -> None:
    succeed(semrsm(*of_egoobjects(egoobjects, "dataset.n_queries=5", "dataset.n_database=22")))
    rows = table("retrieval")
    assert rows[["dataset", "metric", "n_queries", "n_database"]].drop_duplicates().to_numpy().tolist() == [
        ["egoobjects", "count_f1", 5, 22]
    ]
    assert rows["at_1"].between(0.5, 1).all()  # all show a cup
    neighbours = table("neighbours")
    videos = [neighbours[column].str.rsplit("_", n=1).str[0] for column in ("query", "neighbour")]
    assert (videos[0] != videos[1]).all()
    draw = table("draw")
    assert draw["role"].value_counts().to_dict() == {"database": 22, "query": 5}
    assert not draw["image"].duplicated().any()


def test_own_video_is_never_returned_but_the_same_scene_under_another_condition_is(
    semrsm: Command, tmp_path: Path
) -> None:
    scene, others = egoobjects_files.GROUPS[0], egoobjects_files.GROUPS[1:]
    places = [(scene, "01", 0), (scene, "01", 1), (scene, "08", 0), *((other, "01", 0) for other in others)]
    images = [egoobjects_files.image(*place, number) for number, place in enumerate(places)]
    instances = [egoobjects_files.instance(image, egoobjects_files.CUP, i) for i, image in enumerate(images)]
    root = egoobjects_files.write(tmp_path / "same", {"images": images, "annotations": instances})
    pictures = photos(regions=1)
    for image, index in zip(images, (0, 0, 0, 1, 2), strict=True):  # all of the first scene are one picture
        pictures[index].resize((64, 36)).save(root / "images" / image["url"], quality=95)
    names = [image["url"] for image in images]
    write_split(tmp_path / "draw.csv", RetrievalSplit((names[0],), tuple(names[1:])))
    succeed(semrsm(*of_egoobjects(root, f"dataset.split_file={tmp_path / 'draw.csv'}")))
    neighbours = table("neighbours")
    assert names[1] not in set(neighbours["neighbour"])
    assert set(neighbours.loc[neighbours["rank"] == 1, "neighbour"]) == {names[2]}
    cosine = neighbours[(neighbours["kernel"] == "cosine") & (neighbours["rank"] == 1)]
    np.testing.assert_allclose(cosine["similarity"], 1, atol=1e-3)
    assert set(neighbours["rank"]) == {1, 2, 3}


def test_a_draw_is_used_again(semrsm: Command, egoobjects: Path) -> None:
    sizes = ("dataset.n_queries=3", "dataset.n_database=9")
    succeed(semrsm(*of_egoobjects(egoobjects, *sizes, "seed=1", "hydra.run.dir=first")))
    again = ("seed=2", "dataset.split_file=first/tables/draw.csv", "hydra.run.dir=second")
    succeed(semrsm(*of_egoobjects(egoobjects, *sizes, *again)))
    for name in ("draw.csv", "neighbours.csv"):
        assert Path("first/tables", name).read_bytes() == Path("second/tables", name).read_bytes()


def test_missing_images_are_left_out_when_asked_for(semrsm: Command, egoobjects: Path) -> None:
    (egoobjects / "images" / f"{egoobjects_files.GROUPS[0]}_01_1.jpg").unlink()
    sizes = ("dataset.n_queries=3", "dataset.n_database=24")
    complaint = "1 of the 27 images drawn are missing, the first is"
    refuse(semrsm, *of_egoobjects(egoobjects, *sizes), complaint=complaint, exit_code=1)
    result = succeed(semrsm(*of_egoobjects(egoobjects, *sizes, "dataset.on_error=skip")))
    assert "skipped 1 unreadable images" in result.stderr
    assert table("retrieval").loc[0, ["n_queries", "n_database"]].sum() == 26


WRONG_SET = [
    (["dataset.n_queries=5", "dataset.n_database=23"], "but egoobjects holds 27 images"),
    (["dataset.subset=train"], "no image of subset 'train'"),
    (["dataset.root=nowhere"], "nowhere does not exist"),
    (["dataset.root=."], "EgoObjectsV1_unified_eval.json is neither in"),
    (["dataset.split_file=nowhere.csv"], "nowhere.csv cannot be read as CSV"),
    (["dataset.split_file=empty.csv"], "empty.csv names no image of role query"),
    (["dataset.split_file=other.csv"], "the split names 2 images that egoobjects lacks"),
]


def test_what_the_user_can_mend_is_one_line(semrsm: Command, egoobjects: Path) -> None:
    Path("empty.csv").write_text("role,image\n")
    Path("other.csv").write_text("role,image\nquery,a.jpg\ndatabase,b.jpg\n")
    for settings, complaint in WRONG_SET:
        refuse(semrsm, *of_egoobjects(egoobjects, *settings), complaint=complaint, exit_code=1)


def test_annotations_that_end_half_way(semrsm: Command, egoobjects: Path) -> None:
    path = egoobjects / ANNOTATIONS
    path.write_bytes(path.read_bytes()[:1000])
    refuse(semrsm, *of_egoobjects(egoobjects), complaint="is no complete JSON", exit_code=1)


# Cityscapes


def test_cityscapes_scores_the_classes_present(semrsm: Command, tmp_path: Path) -> None:
    root = cityscapes_files.write(tmp_path / "cityscapes")
    succeed(semrsm("retrieve", "dataset=cityscapes", f"dataset.root={root}", *SMALL, *NO_PICTURES))
    rows = table("retrieval")
    assert rows.loc[0, ["dataset", "metric", "n_queries", "n_database"]].tolist() == [
        *("cityscapes", "presence_iou", 2, 3)
    ]
    assert json.loads((folder() / "run.json").read_text())["resample_by"] == "video", "its scenes are three cities"
    assert rows["paper"].isna().all()
    # frame 20 shows a road, 19 a road and a car; of the database 5 shows a road, 22 nothing, 21 a train
    scores = table("neighbours").drop_duplicates(["query", "neighbour"])
    frames = scores[["query", "neighbour"]].map(lambda name: int(name.split("_")[-2]))
    found = scores.assign(**frames).pivot(index="query", columns="neighbour", values="score")
    assert found.to_dict("index") == {20: {5: 1, 21: 0, 22: 0}, 19: {5: 0.5, 21: 0, 22: 0}}


# One's own images


@pytest.fixture
def own(tmp_path: Path) -> Path:
    root = tmp_path / "my photographs"
    (root / "deeper").mkdir(parents=True)
    pictures = photos(regions=1)
    for i in range(6):
        pictures[i].resize((64, 64)).save(root / ("deeper" if i % 2 else ".") / f"{i}.png")
    return root


def of_folder(root: Path, *settings: str) -> tuple[str, ...]:
    return ("retrieve", "dataset=folder", f"dataset.root={root}", *SMALL, *settings)


def test_own_images_without_labels_have_neighbours_and_pictures_but_no_score(semrsm: Command, own: Path) -> None:
    succeed(semrsm(*of_folder(own, "n_pictures=2", "n_thumbnails=2")))
    rows = table("retrieval")
    assert rows[["metric", "at_1", "ci_low", "ci_high", "best_of_5", "paper"]].isna().all(axis=None)
    assert rows.loc[0, ["n_queries", "n_database"]].tolist() == [6, 6]
    neighbours = table("neighbours")
    assert (neighbours["query"] != neighbours["neighbour"]).all()
    assert neighbours.groupby(["kernel", "invariance", "query"])["neighbour"].nunique().eq(5).all()
    assert neighbours["score"].isna().all()
    figures = {path.name for path in (folder() / "figures").glob("*.png")}
    assert figures == {"agreement.png", "neighbours_1.png", "neighbours_2.png", "matched_1.png", "matched_2.png"}


def test_agreement_is_what_the_neighbours_say(semrsm: Command, own: Path) -> None:
    result = succeed(semrsm(*of_folder(own, *NO_PICTURES, "n_neighbours=3")))
    neighbours, found = table("neighbours"), table("agreement")
    assert "invariance_a" in result.stdout, "instead of a table of empty scores"
    for row in found.to_dict("records"):
        sets = [
            neighbours[(neighbours["kernel"] == row["kernel"]) & (neighbours["invariance"] == row[side])]
            .groupby("query")["neighbour"]
            .agg(list)
            for side in ("invariance_a", "invariance_b")
        ]
        shared = [len({*a} & {*b}) / 3 for a, b in zip(*sets, strict=True)]
        assert row["overlap"] == pytest.approx(np.mean(shared))
        assert row["same_first"] == pytest.approx(np.mean([a[0] == b[0] for a, b in zip(*sets, strict=True)]))
    assert len(found) == 3 * 3


def test_all_against_all_is_as_if_both_sides_were_drawn_alike(semrsm: Command, own: Path) -> None:
    succeed(semrsm(*of_folder(own, *NO_PICTURES, "n_neighbours=3", "hydra.run.dir=all")))
    names = sorted(path.relative_to(own).as_posix() for path in own.rglob("*.png"))
    three = "n_neighbours=3"
    for name in names[:2]:
        write_split(Path("draw.csv"), RetrievalSplit((name,), tuple(names)))
        settings = (
            "centering=none",
            "dataset.split_file=draw.csv",
            three,
            f"hydra.run.dir={Path(name).stem}",
        )
        succeed(semrsm(*of_folder(own, *NO_PICTURES, *settings)))
    succeed(semrsm(*of_folder(own, *NO_PICTURES, "n_neighbours=3", "centering=none", "hydra.run.dir=uncentred")))
    whole = table("neighbours", "uncentred")
    for name in names[:2]:
        alone = table("neighbours", Path(name).stem)
        same = whole[whole["query"] == name].reset_index(drop=True)
        not_rbf = alone["kernel"] != "rbf"  # whose sigma is that of other pairs
        assert alone["neighbour"].tolist() == same["neighbour"].tolist()
        np.testing.assert_allclose(alone.loc[not_rbf, "similarity"], same.loc[not_rbf, "similarity"], rtol=1e-3)


def test_own_images_with_labels_are_scored(semrsm: Command, own: Path) -> None:
    lines = ["image,group,class,count", "0.png,a,cup,2", "2.png,a,cup,2", "4.png,b,cup,1", "deeper/1.png,b,,"]
    lines += ["deeper/3.png,c,cup,2", "deeper/5.png,c,spoon,1"]
    Path("labels.csv").write_text("\n".join(lines))
    succeed(semrsm(*of_folder(own, *NO_PICTURES, "dataset.labels=labels.csv")))
    assert table("retrieval")["metric"].unique().tolist() == ["count_f1"]
    scores = table("neighbours").drop_duplicates(["query", "neighbour"]).set_index(["query", "neighbour"])["score"]
    assert ("0.png", "2.png") not in scores  # of one group
    assert scores["0.png", "4.png"] == pytest.approx(2 / 3)
    assert scores["0.png", "deeper/3.png"] == 1
    assert scores["4.png", "deeper/5.png"] == 0
    assert (folder() / "figures" / "scores.png").exists()


def test_labels_that_do_not_fit_are_one_line(semrsm: Command, own: Path) -> None:
    Path("labels.csv").write_text("image,class\n0.png,cup\n")
    complaint = "says nothing of 5 of 6 images"
    refuse(semrsm, *of_folder(own, "dataset.labels=labels.csv"), complaint=complaint, exit_code=1)


# Shortlists


def test_a_shortlist_holds_the_nearest_pooled_vectors_and_limits_the_matching_alone(semrsm: Command) -> None:
    arguments = ("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "n_neighbours=6")
    succeed(semrsm(*arguments, "shortlist=6", "hydra.run.dir=short"))
    succeed(semrsm(*arguments, "hydra.run.dir=full"))
    short, full = (table("neighbours", run).query("kernel == 'cosine'") for run in ("short", "full"))
    for query, of_query in short.groupby("query"):
        found = {name: set(rows["neighbour"]) for name, rows in of_query.groupby("invariance")}
        assert found["permutation"] == found["pooled"], query
    pd.testing.assert_frame_equal(*(side[side["invariance"] == "none"] for side in (short, full)))


@pytest.mark.slow
def test_what_is_too_large_for_the_memory_is_ranked_by_rows_with_the_same_numbers(
    semrsm: Command, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semrsm_cli.tasks.retrieve import ranking

    settings = (*NO_PICTURES, "n_neighbours=4")
    sets = {"scenes": ("retrieve", *SMALL, *FEW_SCENES, *settings), "own": of_folder(own, *settings)}
    for place in ("memory", "disk"):
        for name, arguments in sets.items():
            succeed(semrsm(*arguments, f"hydra.run.dir={name}_{place}"))
            succeed(semrsm(*arguments, "sigma_tile=2", "kernels=[rbf]", f"hydra.run.dir={name}_tile_{place}"))
        monkeypatch.setattr(ranking, "_PAIRS_IN_MEMORY", 0)
        monkeypatch.setattr(ranking, "_PAIRS_AT_ONCE", 20)
    for name in ("scenes", "scenes_tile", "own", "own_tile"):
        whole, by_rows = (table("neighbours", f"{name}_{place}") for place in ("memory", "disk"))
        assert whole["neighbour"].equals(by_rows["neighbour"]), name
        # of images with themselves, x with y and y with x are matched apart, each within the certified tolerance
        rtol = 1e-4 if name.startswith("own") else 1e-6
        np.testing.assert_allclose(whole["similarity"], by_rows["similarity"], rtol=rtol)


def test_the_shortlist_does_not_depend_on_how_many_queries_are_searched_at_once(
    semrsm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semrsm_cli.tasks.retrieve import ranking

    arguments = ("retrieve", *SMALL, *FEW_SCENES, *NO_PICTURES, "shortlist=7", "invariances=[permutation]")
    succeed(semrsm(*arguments, "hydra.run.dir=whole"))
    for name in ("_PAIRS_AT_ONCE", "_MIN_ROWS"):
        monkeypatch.setattr(ranking, name, 1)
    succeed(semrsm(*arguments, "hydra.run.dir=single"))
    whole, single = (table("neighbours", run) for run in ("whole", "single"))
    assert whole["neighbour"].equals(single["neighbour"])
    np.testing.assert_allclose(whole["similarity"], single["similarity"], rtol=1e-6)


# Settings


def test_wrong_settings_are_one_line_and_exit_2(semrsm: Command) -> None:
    for settings, complaint in (
        (["dataset=photos"], "dataset=photos holds no queries; choose dataset=egoobjects"),
        (["model.layers=[conv1,last]"], "retrieve reads one layer, got 2"),
        (["kernels=[]"], "kernels is empty"),
        (["invariances=[]"], "invariances is empty"),
        (["invariances=[rotation]"], "'rotation', expected one of [none, translation, permutation, pooled, maxsim]"),
        (["n_neighbours=0"], "n_neighbours must be at least 1, got 0"),
        (["shortlist=3"], "shortlist must be at least n_neighbours=5, got 3"),
        (["n_thumbnails=-1"], "n_thumbnails must be at least 0, got -1"),
        (["resample_by=city"], "'city', expected one of [scene, video, query]"),
    ):
        refuse(semrsm, "retrieve", *SMALL, *settings, complaint=complaint, exit_code=2)


def test_a_shortlist_that_leaves_out_nothing_is_said_and_is_none(semrsm: Command, own: Path) -> None:
    result = succeed(semrsm(*of_folder(own, *NO_PICTURES, "shortlist=6", "hydra.run.dir=long")))
    assert "shortlist=6 leaves out none of 6 images: all are matched" in result.stderr
    succeed(semrsm(*of_folder(own, *NO_PICTURES, "hydra.run.dir=none")))
    for name in ("retrieval", "neighbours"):
        assert Path(f"long/tables/{name}.csv").read_bytes() == Path(f"none/tables/{name}.csv").read_bytes()
    succeed(semrsm(*of_folder(own, *NO_PICTURES, "shortlist=5", "hydra.run.dir=short")))
    assert "optimal, shortlist 5" in Path("short/tables/retrieval.csv").read_text()
