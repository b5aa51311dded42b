"""`semrsm extract`: the store, its resumption, its memory."""

import json
import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from semrsm_cli.data.layers import read_layers
from tests.command import Command, succeed
from tests.tasks.processes import ran_through, started

SMALL = ("model=timm", "model.name=test_resnet", "model.weights=random")


def table(root: Path) -> pd.DataFrame:
    (folder,) = (root / "outputs" / "extract").iterdir()
    return pd.read_csv(folder / "tables" / "representations.csv")


def test_layers_of_one_pass_lie_in_the_store(semrsm: Command, shared_cache: Path, tmp_path: Path) -> None:
    succeed(semrsm("extract", "model.layers=[blocks.5,last]", "n_images=7", "runtime.batch_size=3"))
    rows = table(tmp_path)
    assert rows[["layer", "images", "positions"]].to_numpy().tolist()[0] == ["blocks.5", 7, 49]
    for key in rows["key"]:
        folder = shared_cache / "representations" / key
        assert len((folder / "ids.csv").read_text().splitlines()) == 8
        assert len(list((folder / "concept_vectors" / "c").iterdir())) == 3


def test_half_precision_is_stored_as_such(semrsm: Command, shared_cache: Path, tmp_path: Path) -> None:
    succeed(semrsm("extract", *SMALL, "n_images=2", "runtime.precision=float16"))
    (key,) = table(tmp_path)["key"]
    metadata = json.loads((shared_cache / "representations" / key / "concept_vectors" / "zarr.json").read_text())
    assert metadata["data_type"] == "float16"


def chunks(root: Path) -> list[Path]:
    return [path for path in (root / "cache").rglob("c/*/0/0") if path.is_file()]


def content(root: Path) -> dict[str, object]:
    """What the store holds; the list of checksums tells the order of writing, too, which does not count."""
    below = root / "cache" / "representations"
    files = {str(path.relative_to(below)): path.read_bytes() for path in below.rglob("*") if path.is_file()}
    return {name: set(data.split()) if name.endswith("checksums.csv") else data for name, data in files.items()}


@pytest.mark.slow
def test_killed_half_way_ends_with_the_same_bytes(tmp_path: Path) -> None:
    arguments = (*SMALL, "model.layers=all", "dataset.regions=60", "runtime.batch_size=20")
    ran_through(tmp_path / "whole", "extract", *arguments)
    total = len(chunks(tmp_path / "whole"))
    run = started(tmp_path / "killed", "extract", *arguments)
    while len(chunks(tmp_path / "killed")) < total // 3 and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert 0 < len(chunks(tmp_path / "killed")) < total
    ran_through(tmp_path / "killed", "extract", *arguments)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.slow
def test_runs_at_once_that_share_layers_leave_what_one_leaves(tmp_path: Path) -> None:
    arguments = (*SMALL, "dataset.regions=20", "runtime.batch_size=10")
    ran_through(tmp_path / "one", "extract", *arguments, "model.layers=all")
    layers = ("all", "[layer1.0,layer2.0]", "[layer2.0,layer3.0]", "all")
    runs = [
        started(tmp_path / "several", "extract", *arguments, f"model.layers={some}", f"hydra.run.dir=run_{number}")
        for number, some in enumerate(layers)
    ]
    for run in runs:
        _, complaint = run.communicate(timeout=280)
        assert run.returncode == 0, complaint
        assert "damaged" not in complaint
    assert content(tmp_path / "several") == content(tmp_path / "one")


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    peaks = []
    for n in (100, 2000):
        root = tmp_path / str(n)
        ran_through(root, "extract", *SMALL, "model.layers=all", "dataset.regions=170", f"n_images={n}")
        (folder,) = (root / "outputs" / "extract").iterdir()
        peaks.append(json.loads((folder / "run.json").read_text())["peak_memory_mib"])
    assert peaks[1] < peaks[0] + 60, peaks


@pytest.mark.parametrize("name", ["layers.npz", "layers.safetensors", "layers"])
def test_saved_layers_give_the_rsms_and_ckas_of_the_model(semrsm: Command, tmp_path: Path, name: str) -> None:
    network = (*SMALL, "model.layers=[layer3.0,layer4.0]", "n_images=5")
    succeed(semrsm("extract", *network, f"save={name}", "hydra.run.dir=extract"))
    invariance = "invariance=translation"  # the grid is in the file
    succeed(semrsm("rsm", *network, invariance, "hydra.run.dir=model"))
    succeed(semrsm("rsm", f"x={name}", invariance, "hydra.run.dir=file"))
    for layer in ("layer3.0", "layer4.0"):
        assert Path(f"model/arrays/{layer}.npy").read_bytes() == Path(f"file/arrays/{layer}.npy").read_bytes()
    assert read_layers(name).ids == tuple(pd.read_csv(_ids_of("extract"))["id"])
    succeed(semrsm("cka", f"x={name}", "n_images=null", "kernels=linear", "n_draws=1", "hydra.run.dir=cka"))
    assert len(pd.read_csv("cka/tables/cka.csv")) == 12
    refused = semrsm("extract", *network, "save=layers.pt")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "save must end in .npz, .safetensors or .zarr" in refused.stderr


def _ids_of(run: str) -> Path:
    """The ids that the store keeps of a run's first layer."""
    key = pd.read_csv(f"{run}/tables/representations.csv")["key"][0]
    return Path(os.environ["SEMRSM_CACHE"], "representations", key, "ids.csv")
