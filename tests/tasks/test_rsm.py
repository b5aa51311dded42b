"""`semrsm rsm` on a model's layers and on the user's own arrays."""

import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semrsm_cli as semrsm_library
from tests.command import Command, refuse, succeed
from tests.tasks.processes import ran_through, started


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 6, 4)).astype(np.float32)


def written(name: str) -> np.ndarray:
    (folder,) = Path("outputs", "rsm").iterdir()
    return np.load(folder / "arrays" / f"{name}.npy")


def test_own_array_gives_what_the_library_gives(semrsm: Command, x: np.ndarray) -> None:
    np.save("mine.npy", x)
    succeed(semrsm("rsm", "x=mine.npy"))
    np.testing.assert_array_equal(written("mine"), semrsm_library.rsm(x))
    np.testing.assert_allclose(written("mine").diagonal(), 1, atol=1e-6)


def test_every_array_of_a_file_gets_an_rsm_and_images_their_names(semrsm: Command, x: np.ndarray) -> None:
    np.savez("layers.npz", early=x, late=x[..., :2], ids=np.array([f"image {i}" for i in range(5)]))
    succeed(semrsm("rsm", "x=layers.npz", "hydra.run.dir=all"))
    succeed(semrsm("rsm", 'x="layers.npz#late"', "hydra.run.dir=one"))
    table = pd.read_csv("all/tables/rsm.csv")
    assert [*table["array"]] == ["arrays/early.npy", "arrays/late.npy"]
    assert [*table["channels"]] == [4, 2]
    np.testing.assert_array_equal(np.load("all/arrays/late.npy"), np.load("one/arrays/late.npy"))


def test_two_files_are_compared_with_each_other(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x)
    np.save("b.npy", x[:3, ::-1])
    succeed(semrsm("rsm", "x=a.npy", "y=b.npy", "kernel=linear", "centering=none"))
    found = written("a_b")
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found.diagonal(), np.square(x[:3]).sum((1, 2)), rtol=1e-4)


def test_layers_of_a_model_and_invariances_are_ordered(semrsm: Command) -> None:
    rsms = {}
    for invariance in ("none", "translation", "permutation"):
        arguments = ("model.layers=[blocks.5]", "n_images=6", "kernel=linear", f"invariance={invariance}")
        succeed(semrsm("rsm", *arguments, f"hydra.run.dir={invariance}"))
        rsms[invariance] = np.load(f"{invariance}/arrays/blocks.5.npy")
    slack = 1e-3 * np.abs(rsms["permutation"]).max()
    assert (rsms["permutation"] >= rsms["translation"] - slack).all()
    assert (rsms["translation"] >= rsms["none"] - slack).all()
    table = pd.read_csv("permutation/tables/rsm.csv")
    assert 0 < table["certified_gap"].item() <= 1e-4


def test_second_run_takes_its_tiles_from_the_store(semrsm: Command, x: np.ndarray, monkeypatch) -> None:
    np.save("mine.npy", x)
    succeed(semrsm("rsm", "x=mine.npy", "hydra.run.dir=first"))
    monkeypatch.setattr("semrsm_cli.store.TileFolder.save", lambda *_: pytest.fail("a tile was counted again"))
    succeed(semrsm("rsm", "x=mine.npy", "hydra.run.dir=second"))
    np.testing.assert_array_equal(np.load("first/arrays/mine.npy"), np.load("second/arrays/mine.npy"))


def test_tiles_of_another_grid_are_not_taken(semrsm: Command, x: np.ndarray) -> None:
    np.save("x.npy", x)
    for height, width in ((2, 3), (3, 2)):
        arguments = ("x=x.npy", "invariance=translation", "kernel=linear")
        succeed(semrsm("rsm", *arguments, f"grid=[{height},{width}]", f"hydra.run.dir=grid_{height}_{width}"))
        expected = semrsm_library.rsm(x, kernel="linear", invariance="translation", grid=(height, width))
        np.testing.assert_allclose(np.load(f"grid_{height}_{width}/arrays/x.npy"), expected, rtol=1e-5)


def test_damage_in_the_store_is_said_and_changes_nothing(
    semrsm: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / "store"))
    arguments = ("rsm", "model.layers=[blocks.5]", "n_images=6")
    succeed(semrsm(*arguments, "hydra.run.dir=first"))
    for number, part in enumerate(("representations", "tiles")):
        chunk = next(path for path in (tmp_path / "store" / part).rglob("c/0/0*") if path.is_file() or part != "tiles")
        chunk = chunk / "0" if chunk.is_dir() else chunk
        content = bytearray(chunk.read_bytes())
        content[9] ^= 1
        chunk.write_bytes(content)
        result = succeed(semrsm(*arguments, f"hydra.run.dir=again_{number}"))
        said = [line for line in result.stderr.splitlines() if "is damaged" in line]
        assert said, part
        assert set(said) == {f"{chunk} is damaged and is computed anew"}, part
        arrays = [np.load(f"{run}/arrays/blocks.5.npy") for run in ("first", f"again_{number}")]
        np.testing.assert_array_equal(*arrays, err_msg=part)


def test_pooled_is_the_rsm_of_the_mean_vectors(semrsm: Command, x: np.ndarray) -> None:
    np.save("x.npy", x)
    np.save("mean.npy", x.mean(axis=1, keepdims=True))
    for kernel in ("linear", "cosine", "rbf"):
        for run, arguments in (
            ("pooled", ("x=x.npy", "invariance=pooled")),
            ("mean", ("x=mean.npy", "invariance=none")),
        ):
            succeed(semrsm("rsm", *arguments, f"kernel={kernel}", f"hydra.run.dir={run}/{kernel}"))
        pooled, expected = np.load(f"pooled/{kernel}/arrays/x.npy"), np.load(f"mean/{kernel}/arrays/mean.npy")
        np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-5, err_msg=kernel)
    assert pd.read_csv("pooled/rbf/tables/rsm.csv")["matching"].isna().all()


def test_a_stored_layer_is_found_by_its_key(semrsm: Command) -> None:
    network = ("model=timm", "model.name=test_resnet", "model.weights=random", "n_images=5")
    succeed(semrsm("extract", *network, "hydra.run.dir=extract"))
    stored = pd.read_csv("extract/tables/representations.csv").iloc[-1]
    for invariance in ("permutation", "translation"):  # the grid is stored too
        succeed(semrsm("rsm", f"x={stored['key']}", f"invariance={invariance}", f"hydra.run.dir=key/{invariance}"))
        succeed(semrsm("rsm", *network, f"invariance={invariance}", f"hydra.run.dir=model/{invariance}"))
        found, expected = (np.load(f"{run}/{invariance}/arrays/{stored['layer']}.npy") for run in ("key", "model"))
        np.testing.assert_array_equal(found, expected, err_msg=invariance)


WRONG = [
    (["x=nothing.npy"], "there is no nothing.npy", 1),
    (["x=" + "0" * 32], "the store holds no representation 0000", 1),
    (["x=nan.npy"], "nan: nan must be finite in float32, but sample 3 holds NaN or infinity", 1),
    (["x=mine.npy", "y=wide.npy"], "the same channels, got [6, 4] in mine.npy and [6, 5]", 1),
    (["x=mine.npy", "invariance=translation"], "translation needs the grid of mine's positions", 2),
    (["x=mine.npy", "invariance=translation", "grid=[2,2]"], "6", 1),
    (["x=mine.npy", "grid=[6]"], "grid must be [height, width], got [6]", 2),
    (["y=mine.npy"], "y= was given without x=", 2),
    (["x=mine.npy", "locality=2"], "locality needs the grid of mine's positions", 2),
    (["x=mine.npy", "locality=-1"], "locality must be at least 0 and finite, got -1", 2),
    (["x=mine.npy", "locality=2", "invariance=none"], "locality lies between permutation and none, got", 2),
    (["x=mine.npy", "locality=2", "matching=greedy"], "locality needs a matching that weighs every pair", 2),
    (["x=mine.npy", "matching=greedy", "matching.floor=0.1"], "floor=0.1 goes with the method optimal, got greedy", 2),
    (["x=mine.npy", "y=small.npy", "invariance=none"], "same positions and channels, got [6, 4] in mine.npy", 1),
]


def test_locality_gives_an_rsm_for_each_value(semrsm: Command, x: np.ndarray) -> None:
    np.save("mine.npy", x)
    succeed(semrsm("rsm", "x=mine.npy", "grid=[2,3]", "locality=[0,2]"))
    np.testing.assert_array_equal(written("mine"), semrsm_library.rsm(x))
    np.testing.assert_allclose(
        written("mine_locality_2"), semrsm_library.rsm(x, grid=(2, 3), locality=2.0), rtol=1e-3, atol=1e-3
    )
    (folder,) = Path("outputs", "rsm").iterdir()
    table = pd.read_csv(folder / "tables" / "rsm.csv")
    assert table["locality"].tolist() == [0, 2]
    assert table["displacement"].is_monotonic_decreasing
    curve = pd.read_csv(folder / "tables" / "locality.csv")
    assert curve["invariance"].tolist() == ["permutation", "permutation", "none"]
    assert curve["similarity"].is_monotonic_decreasing
    assert (folder / "figures" / "locality.png").exists()


def test_a_floor_and_unequal_sizes_give_what_the_library_gives(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x)
    np.save("b.npy", x[:3, :4])
    succeed(semrsm("rsm", "x=a.npy", "y=b.npy", "matching.floor=0.5"))
    expected = semrsm_library.rsm(x, x[:3, :4], matcher=semrsm_library.Matcher(floor=0.5))
    np.testing.assert_allclose(written("a_b"), expected, rtol=1e-3, atol=1e-3)
    (folder,) = Path("outputs", "rsm").iterdir()
    assert 0 < pd.read_csv(folder / "tables" / "rsm.csv")["matched_share"].item() < 1


def test_errors_are_one_line(semrsm: Command, x: np.ndarray) -> None:
    np.save("mine.npy", x)
    np.save("small.npy", x[:, :4])
    np.save("wide.npy", np.concatenate([x, x[..., :1]], axis=2))
    broken = x.copy()
    broken[3, 2, 1] = np.nan
    np.save("nan.npy", broken)
    for arguments, complaint, exit_code in WRONG:
        refuse(semrsm, "rsm", *arguments, complaint=complaint, exit_code=exit_code)


def test_two_widths_are_refused_before_the_matching(
    semrsm: Command, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("x.npy", x)
    monkeypatch.setattr("semrsm_cli.pipeline.grams.gram", lambda *_, **__: pytest.fail("matched in vain"))
    arguments = ("x=x.npy", "kernel=rbf", "kernel.sigma=1", "kernel.sigma_tile=3")
    refuse(semrsm, "rsm", *arguments, complaint="kernel.sigma=1.0 leaves nothing to choose", exit_code=2)


def tiles(root: Path) -> dict[Path, int]:
    """The finished tiles and when each was written: a tile's `bound` comes after its `inner`."""
    return {path: path.stat().st_mtime_ns for path in (root / "cache" / "tiles").glob("*/*/bound/c/*/*")}


@pytest.mark.slow
def test_killed_rsm_computes_only_the_missing_tiles(tmp_path: Path, rng: np.random.Generator) -> None:
    np.save(tmp_path / "x.npy", np.maximum(rng.normal(size=(400, 64, 16)), 0).astype(np.float32))
    arguments = ("rsm", f"x={tmp_path / 'x.npy'}", "hydra.run.dir=run", "runtime.threads=1")
    ran_through(tmp_path / "whole", *arguments)
    total = len(tiles(tmp_path / "whole"))
    killed = tmp_path / "killed"
    run = started(killed, *arguments)
    while len(tiles(killed)) < 3 and run.poll() is None:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    kept = tiles(killed)
    assert 0 < len(kept) < total
    assert not (killed / "run" / "arrays").exists()
    ran_through(killed, *arguments)
    again = tiles(killed)
    assert len(again) == total
    assert sum(again[path] != when for path, when in kept.items()) <= 1  # the one that was not in the list yet
    result = "run/arrays/x.npy"
    assert (killed / result).read_bytes() == (tmp_path / "whole" / result).read_bytes()


def test_one_image_is_said_to_be_one(semrsm: Command, x: np.ndarray) -> None:
    np.save("one.npy", x[:1])
    result = succeed(semrsm("rsm", "x=one.npy", "centering=none"))
    assert "one holds one image: its RSM is a single number" in result.stderr
    np.testing.assert_array_equal(written("one"), [[1]])


@pytest.mark.drawn
def test_the_heat_map_may_stand_in_the_order_of_a_dendrogram_and_the_array_does_not(
    semrsm: Command, x: np.ndarray
) -> None:
    np.save("x.npy", x)
    succeed(semrsm("rsm", "x=x.npy", "hydra.run.dir=own"))
    succeed(semrsm("rsm", "x=x.npy", "dendrogram=true", "hydra.run.dir=ordered"))
    np.testing.assert_array_equal(np.load("own/arrays/x.npy"), np.load("ordered/arrays/x.npy"))
    pictures = [Path(run, "figures", "x.png").read_bytes() for run in ("own", "ordered")]
    assert pictures[0] != pictures[1]
    np.save("y.npy", x[:2])
    succeed(semrsm("rsm", "x=x.npy", "y=y.npy", "dendrogram=true", "hydra.run.dir=between"))
    assert Path("between/figures/x_y.png").stat().st_size > 5000


def test_every_layer_of_a_file_has_an_rsm_and_a_grid_may_stand_in_it(semrsm: Command, x: np.ndarray) -> None:
    layers = {"early": x, "late": x[:, :2] ** 2}
    semrsm_library.save_layers("many.npz", layers, ids=list("abcde"), grids={"early": (2, 3), "late": (1, 2)})
    succeed(semrsm("rsm", "x=many.npz", "invariance=translation", "hydra.run.dir=many"))
    for name, grid in (("early", (2, 3)), ("late", (1, 2))):
        expected = semrsm_library.rsm(layers[name], invariance="translation", grid=grid)
        np.testing.assert_array_equal(np.load(f"many/arrays/{name}.npy"), expected)
    semrsm_library.save_layers("late.npz", {"late": layers["late"][:3], "early": x[:3]})
    succeed(semrsm("rsm", "x=many.npz", "y=late.npz", "centering=none", "hydra.run.dir=between"))
    found = np.load("between/arrays/late.npy")
    np.testing.assert_array_equal(found, semrsm_library.rsm(layers["late"], layers["late"][:3], centering="none"))
    np.savez("other.npz", early=x, middle=x)
    complaint = "x and y must hold the same layers, got early, late in many.npz and early, middle in other.npz"
    refused = semrsm("rsm", "x=many.npz", "y=other.npz")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert complaint in refused.stderr
