"""On a real Slurm: the same bytes, whatever happens to the jobs, and none of them is left.

Runs where sbatch is on the PATH and SLURM_CONF, or the system's own configuration, names a Slurm that answers.
"""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.cluster import ClusterConfig, Session
from tests.cluster import units
from tests.cluster.units import Shared
from tests.tasks.processes import ran_through, started

SMALL = ("model=timm", "model.name=test_resnet", "model.weights=random")
JOBS = ("cluster=slurm", "cluster.nodes=2", "cluster.cores=1", "cluster.memory=1GiB")
TASKS: dict[str, tuple[str, ...]] = {
    "rsm": ("x=../x.npy", "y=../y.npy"),
    "extract": (*SMALL, "n_images=11", "runtime.batch_size=3"),
    "retrieve": (*SMALL, "dataset.n_queries=5", "dataset.n_database=9", "n_pictures=0", "n_thumbnails=0"),
    "correlate": (*SMALL, "n_images=12", "n_resamples=0", "n_permutations=0"),
    "cka": ("x=[../x.npy,../z.npy]", "batch_images=8"),
}


def why_not() -> str:
    if shutil.which("sbatch") is None:
        return "there is no Slurm: sbatch is not on the PATH"
    answer = subprocess.run(["sinfo", "-h"], capture_output=True, text=True)
    return "" if answer.returncode == 0 and answer.stdout.strip() else f"Slurm does not answer: {answer.stderr.strip()}"


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed: pip install 'semrsm[cluster]'")
    if reason := why_not():
        pytest.skip(reason)


pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("slurm")
    for name, n in (("x", 20), ("y", 13), ("z", 20)):
        np.save(folder / f"{name}.npy", rng.normal(size=(n, 9, 5)).astype(np.float32))
    np.save(folder / "long.npy", np.maximum(rng.normal(size=(300, 100, 16)), 0).astype(np.float32))
    return folder


def contents(root: Path) -> dict[str, bytes]:
    paths = [path for kind in ("tables", "arrays") for path in (root / "run").glob(f"{kind}/*")]
    paths += [path for path in (root / "cache").glob("representations/*/concept_vectors/c/**/*") if path.is_file()]
    paths += [path for path in (root / "cache").glob("tiles/*/*/*/c/*/*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def queue() -> list[str]:
    return subprocess.run(["squeue", "-h", "-n", "semrsm", "-o", "%i %T"], capture_output=True, text=True).stdout.split(
        "\n"
    )[:-1]


def require_no_job() -> None:
    deadline = time.monotonic() + 30
    while [job for job in queue() if "COMPLETING" not in job]:
        assert time.monotonic() < deadline, queue()
        time.sleep(0.5)


@pytest.mark.parametrize("task", TASKS)
def test_slurm_gives_the_same_bytes(task: str, folder: Path) -> None:
    ran_through(folder / f"{task}_here", task, *TASKS[task], "hydra.run.dir=run")
    ran_through(folder / f"{task}_there", task, *TASKS[task], *JOBS, "hydra.run.dir=run")
    assert contents(folder / f"{task}_here") == contents(folder / f"{task}_there")
    require_no_job()


def finished_tiles(root: Path) -> int:
    return len(list((root / "cache" / "tiles").glob("*/*/bound/c/*/*")))


def running(timeout: float = 60) -> str:
    """A job that runs."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        jobs = [job.split()[0] for job in queue() if "RUNNING" in job]
        if jobs:
            return jobs[0]
        time.sleep(0.2)
    raise AssertionError("no job runs")


def test_a_cancelled_job_is_replaced(folder: Path) -> None:
    arguments = ("rsm", "x=../long.npy", "matching=ortools", "hydra.run.dir=run")
    ran_through(folder / "whole", *arguments)
    run = started(folder / "cancelled", *arguments, *JOBS)
    while finished_tiles(folder / "cancelled") < 3 and run.poll() is None:
        time.sleep(0.05)
    subprocess.run(["scancel", running()], check=True)
    _, said = run.communicate(timeout=250)
    assert run.returncode == 0, said
    assert "is lost; others do its units" in said
    assert contents(folder / "cancelled") == contents(folder / "whole")
    (notes,) = (folder / "cancelled" / "cache" / "tiles").glob("*/*/inner/checksums.csv")
    written = [line for line in notes.read_text().splitlines() if "/" in line]
    assert len(written) - len(set(written)) <= 2
    require_no_job()


def test_jobs_whose_walltime_ends_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / "store"))
    session = Session(ClusterConfig(name="slurm", cores=1, memory="1GiB", walltime="0:01:00"))  # type: ignore[arg-type]
    try:
        done = sorted(job for job, _ in session.map(units.slow, Shared(tmp_path), range(1600)))
    finally:
        session.close()
    assert done == [*range(1600)]
    begun = (tmp_path / "begun").read_text().splitlines()
    workers = {line.split()[1] for line in begun}
    assert len(workers) >= 2, "a job leaves before its minute is over"
    assert len(begun) - 1600 <= 2 * len(workers)
    require_no_job()


def test_ctrl_c_frees_the_jobs_and_the_same_command_goes_on(folder: Path) -> None:
    arguments = ("rsm", "x=../long.npy", "matching=ortools", "hydra.run.dir=run", *JOBS)
    run = started(folder / "interrupted", *arguments)
    while finished_tiles(folder / "interrupted") < 3 and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert said.splitlines()[-1].startswith("semrsm rsm: interrupted")
    require_no_job()
    kept = finished_tiles(folder / "interrupted")
    assert kept >= 3
    ran_through(folder / "interrupted", *arguments)
    assert contents(folder / "interrupted") == contents(folder / "whole")


def test_a_killed_client_leaves_no_job_for_long(folder: Path) -> None:
    run = started(folder / "killed", "rsm", "x=../long.npy", "matching=ortools", "hydra.run.dir=run", *JOBS)
    running()
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 120  # workers give up a scheduler that is silent for a minute
    while queue() and time.monotonic() < deadline:
        time.sleep(1)
    require_no_job()


def test_the_runs_of_a_sweep_may_be_jobs_of_their_own(folder: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'semrsm[cluster]'")
    sweep = ("rsm", "x=../x.npy", "kernel=linear,cosine", "--multirun", "hydra.sweep.dir=run")
    jobs = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")
    ran_through(folder / "sweep_here", *sweep)
    ran_through(folder / "sweep_there", *sweep, *jobs)
    here, there = (
        {
            str(path.relative_to(folder / name)): path.read_bytes()
            for kind in ("tables", "arrays")
            for path in (folder / name / "run").glob(f"*/{kind}/*")
        }
        for name in ("sweep_here", "sweep_there")
    )
    assert here == there
    assert len({name.split("/")[1] for name in here}) == 2  # kernels


WRONG = [
    (("cluster.partition=nowhere",), "Slurm rejects the jobs: invalid partition specified: nowhere"),
    (("cluster.memory=900T",), "Slurm rejects the jobs: "),
    (('cluster.extra=["--nonsense"]',), "unrecognized option '--nonsense'"),
]


@pytest.mark.parametrize(("settings", "complaint"), WRONG)
def test_rejected_jobs_are_one_line(folder: Path, settings: tuple[str, ...], complaint: str) -> None:
    run = started(folder / "rejected", "rsm", "x=../x.npy", "cluster=slurm", *settings)
    printed, said = run.communicate(timeout=60)
    assert (run.returncode, printed) == (1, "")
    assert complaint in said
    assert said.count("\n") == 1
    require_no_job()
