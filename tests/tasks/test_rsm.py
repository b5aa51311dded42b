"""`semrsm rsm` on a model's layers and on the user's own arrays."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

import semrsm_cli as semrsm_library
from tests.tasks.processes import ran_through, started

Command = Callable[..., Result]


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 6, 4)).astype(np.float32)


def written(name: str) -> np.ndarray:
    (folder,) = Path("outputs", "rsm").iterdir()
    return np.load(folder / "arrays" / f"{name}.npy")


def test_own_array_gives_what_the_library_gives(semrsm: Command, x: np.ndarray) -> None:
    np.save("mine.npy", x)
    result = semrsm("rsm", "x=mine.npy", "centering=none")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(written("mine"), semrsm_library.rsm(x, kernel="cosine"), atol=1e-6)
    np.testing.assert_allclose(written("mine").diagonal(), 1, atol=1e-6)


def test_two_files_are_compared_with_each_other(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x)
    np.save("b.npy", x[:3, ::-1])
    assert semrsm("rsm", "x=a.npy", "y=b.npy", "kernel=linear", "centering=none").exit_code == 0
    found = written("a_b")
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found.diagonal(), np.square(x[:3]).sum((1, 2)), rtol=1e-4)


def test_layers_of_a_model_and_invariances_are_ordered(semrsm: Command) -> None:
    rsms = {}
    for invariance in ("none", "translation", "permutation"):
        arguments = ("model.layers=[blocks.5]", "n_images=6", "kernel=linear", f"invariance={invariance}")
        result = semrsm("rsm", *arguments, f"hydra.run.dir={invariance}")
        assert result.exit_code == 0, result.output
        rsms[invariance] = np.load(f"{invariance}/arrays/blocks.5.npy")
    slack = 1e-3 * np.abs(rsms["permutation"]).max()
    assert (rsms["permutation"] >= rsms["translation"] - slack).all()
    assert (rsms["translation"] >= rsms["none"] - slack).all()
    table = pd.read_csv("permutation/tables/rsm.csv")
    assert 0 < table["certified_gap"].item() <= 1e-4


def test_second_run_takes_its_tiles_from_the_store(semrsm: Command, x: np.ndarray, monkeypatch) -> None:
    np.save("mine.npy", x)
    assert semrsm("rsm", "x=mine.npy", "hydra.run.dir=first").exit_code == 0
    monkeypatch.setattr("semrsm_cli.store.TileFolder.save", lambda *_: pytest.fail("a tile was counted again"))
    assert semrsm("rsm", "x=mine.npy", "hydra.run.dir=second").exit_code == 0
    np.testing.assert_array_equal(np.load("first/arrays/mine.npy"), np.load("second/arrays/mine.npy"))


@pytest.mark.parametrize(
    ("arguments", "complaint", "exit_code"),
    [
        (["x=nothing.npy"], "there is no nothing.npy", 1),
        (["x=nan.npy"], "nan", 1),
        (["x=mine.npy", "y=wide.npy"], "the same positions and channels, got [6, 4] in mine.npy and [6, 5]", 1),
        (["x=mine.npy", "invariance=translation"], "needs the grid", 2),
        (["x=mine.npy", "invariance=translation", "grid=[2,2]"], "6", 1),
        (["y=mine.npy"], "y= was given without x=", 2),
    ],
)
def test_errors_are_one_line(
    semrsm: Command, x: np.ndarray, arguments: list[str], complaint: str, exit_code: int
) -> None:
    np.save("mine.npy", x)
    np.save("wide.npy", np.concatenate([x, x[..., :1]], axis=2))
    broken = x.copy()
    broken[3, 2, 1] = np.nan
    np.save("nan.npy", broken)
    result = semrsm("rsm", *arguments)
    assert result.exit_code == exit_code
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("outputs").exists()


def tiles(root: Path) -> dict[Path, int]:
    """The finished tiles and when each was written."""
    return {path: path.stat().st_mtime_ns for path in (root / "cache" / "tiles").glob("*/*.npz")}


@pytest.mark.slow
def test_killed_rsm_computes_only_the_missing_tiles(tmp_path: Path, rng: np.random.Generator) -> None:
    np.save(tmp_path / "x.npy", np.maximum(rng.normal(size=(400, 64, 16)), 0).astype(np.float32))
    arguments = ("rsm", f"x={tmp_path / 'x.npy'}", "hydra.run.dir=run", "runtime.workers=1")
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
    assert {path: again[path] for path in kept} == kept
    result = "run/arrays/x.npy"
    assert (killed / result).read_bytes() == (tmp_path / "whole" / result).read_bytes()
