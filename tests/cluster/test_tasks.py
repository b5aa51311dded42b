"""Every task gives the same bytes on a cluster as on threads, and says on one line what is wrong with a cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import command_in, refuse, succeed

SMALL = ("model=timm", "model.name=test_resnet", "model.weights=random")
TASKS: dict[str, tuple[str, ...]] = {
    "rsm": ("x=../x.npy", "y=../y.npy", "kernel=linear"),
    "rsm_of_a_model": (*SMALL, "n_images=9", "runtime.batch_size=2", "invariance=translation"),
    "extract": (*SMALL, "model.layers=all", "n_images=11", "runtime.batch_size=3"),
    "retrieve": (
        *SMALL,
        "dataset.n_queries=5",
        "dataset.n_database=9",
        "n_pictures=0",
        "n_thumbnails=0",
        "shortlist=6",
    ),
    "correlate": (*SMALL, "n_images=12", "n_resamples=0", "n_permutations=0"),
    "cka": ("x=[../x.npy,../z.npy]", "batch_images=8"),
    "translate": (*SMALL, "n_pairs=4", "n_batches=2"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("tasks")
    for name, n in (("x", 20), ("y", 13), ("z", 20)):
        np.save(folder / f"{name}.npy", rng.normal(size=(n, 9, 5)).astype(np.float32))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Files whose bytes depend on the numbers alone."""
    paths = [path for kind in ("tables", "arrays") for path in (folder / "run").glob(f"{kind}/*")]
    paths += [path for path in (folder / "store").glob("representations/*/concept_vectors/c/**/*") if path.is_file()]
    paths += [path for path in (folder / "store").glob("tiles/*/*/*/c/*/*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def run(folder: Path, task: str, *arguments: str) -> dict[str, bytes]:
    folder.mkdir()
    with command_in(folder, folder / "store") as command:
        succeed(command(task.split("_")[0], *TASKS[task], *arguments, "hydra.run.dir=run"))
    return contents(folder)


ALIKE = ("rsm_of_a_model", "translate")  # what they hand out to workers, the others do too


@pytest.mark.parametrize("task", [pytest.param(task, marks=[pytest.mark.slow] * (task in ALIKE)) for task in TASKS])
def test_a_cluster_gives_the_same_bytes(task: str, folder: Path, dask_cluster: Any) -> None:
    here = run(folder / f"{task}_here", task, "runtime.threads=2")
    there = run(folder / f"{task}_there", task, "cluster=dask", f"cluster.address={dask_cluster.scheduler_address}")
    assert here == there
    assert here
    record = json.loads((folder / f"{task}_there" / "run" / "run.json").read_text())
    assert record["cluster"]["workers"] == 2
    assert record["cluster"]["core_hours"] >= 0
    assert len(record["cluster"]["hosts"]) == 1
    assert (
        record["settings_hash"]
        == json.loads((folder / f"{task}_here" / "run" / "run.json").read_text())["settings_hash"]
    ), "where something is computed is no part of what a number is of"
    leftovers = [path.name for path in (folder / f"{task}_there" / "store").iterdir() if path.name.startswith(".")]
    assert not leftovers


def test_workers_of_this_machine_give_the_same_bytes(folder: Path) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'semrsm[cluster]'")
    here = run(folder / "rsm_alone", "rsm")
    assert run(folder / "rsm_two", "rsm", "cluster=dask", "cluster.n_workers=2") == here


@pytest.fixture
def semrsm(tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'semrsm[cluster]'")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32))
    with command_in(tmp_path, tmp_path / "store") as command:
        yield command


def test_what_is_in_the_store_needs_no_cluster(semrsm: Any) -> None:
    succeed(semrsm("rsm", "x=x.npy", "hydra.run.dir=first"))
    succeed(semrsm("rsm", "x=x.npy", "hydra.run.dir=run", "cluster=dask", "cluster.address=tcp://127.0.0.1:9"))


def test_a_wrong_address_is_named(semrsm: Any, tmp_path: Path) -> None:
    wrong = "no Dask scheduler answers at tcp://127.0.0.1:9 (Connection refused)"
    refuse(semrsm, "rsm", "x=x.npy", "cluster=dask", "cluster.address=tcp://127.0.0.1:9", complaint=wrong, exit_code=1)
    unknown = "no Dask scheduler answers at tcp://no.such.host.invalid:8786"
    arguments = ("cluster=dask", "cluster.address=tcp://no.such.host.invalid:8786")
    refuse(semrsm, "rsm", "x=x.npy", *arguments, complaint=unknown, exit_code=1)
    for content in (None, "{}", "no json", '{"address": "nowhere"}', "[]"):
        if content is not None:
            (tmp_path / "file.json").write_text(content)
        arguments = ("cluster=dask", "cluster.scheduler_file=file.json")
        refuse(semrsm, "rsm", "x=x.npy", *arguments, complaint="no Dask scheduler answers at file.json", exit_code=1)
    assert not [path for path in (tmp_path / "store").iterdir() if path.name.startswith(".")]
