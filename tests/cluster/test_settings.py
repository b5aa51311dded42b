"""Which settings of a cluster go together, and what is said where something is missing."""

import importlib.util
import shutil
from typing import Any

import pytest

from semrsm_cli.cluster.schedulers import expected_cores
from semrsm_cli.cluster.settings import ClusterConfig, memory_bytes, walltime_seconds
from semrsm_cli.rsm import available_cores
from tests.command import Command, refuse

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "ray"}, "name must be one of local, dask, slurm, got ray"),
    ({"n_workers": 2}, "n_workers is a setting of cluster=dask"),
    ({"name": "dask", "partition": "gpu"}, "partition is a setting of cluster=slurm"),
    ({"name": "dask", "extra": ["--gres=gpu:1"]}, "extra is a setting of cluster=slurm"),
    ({"name": "slurm", "address": "tcp://a:1"}, "address is a setting of cluster=dask"),
    ({"name": "dask", "address": "tcp://a:1", "n_workers": 2}, "address and n_workers exclude each other"),
    ({"name": "dask", "address": "a:1"}, "address must be protocol://host:port"),
    ({"name": "slurm", "least": 2}, "least and most belong together"),
    ({"name": "slurm", "least": 1, "most": 4, "nodes": 2}, "nodes excludes least and most"),
    ({"name": "slurm", "least": 5, "most": 4}, "least must be at most most=4, got 5"),
    ({"name": "slurm", "memory": "much"}, "memory must be a number and K, M, G or T"),
    ({"name": "slurm", "walltime": "soon"}, "walltime must be hours:minutes:seconds"),
    ({"name": "slurm", "walltime": "0:00:00"}, "walltime must be hours:minutes:seconds"),
]


@pytest.mark.parametrize(("settings", "complaint"), WRONG)
def test_settings_that_contradict_each_other_are_named(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ClusterConfig(**settings)


def test_sizes_and_times_are_those_of_slurm() -> None:
    assert [memory_bytes(text) for text in ("2GiB", "2G", "2 GB", "0.5T", "512M")] == [2**31] * 3 + [2**39, 2**29]
    times = {"8:00:00": 28800, "8:00": 28800, "0:00:30": 30, "2-12:00": 216000, "1-00:00:01": 86401}
    assert {text: walltime_seconds(text) for text in times} == times


def test_the_cores_are_known_before_the_start() -> None:
    assert expected_cores(ClusterConfig(name="slurm", nodes=3, cores=8)) == 24
    assert expected_cores(ClusterConfig(name="slurm", least=1, most=5, cores=8)) == 40
    assert expected_cores(ClusterConfig(name="dask", n_workers=3)) == 3
    assert expected_cores(ClusterConfig(name="dask")) == available_cores()
    assert expected_cores(ClusterConfig(name="dask", address="tcp://a:1")) is None


def test_without_the_extra_one_line_names_it(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "distributed" else find(name, *rest)
    )
    refuse(semrsm, "rsm", "cluster=dask", complaint="pip install 'semrsm[cluster]'", exit_code=2)
    refuse(semrsm, "extract", "cluster=slurm", complaint="pip install 'semrsm[cluster]'", exit_code=2)


def test_without_slurm_one_line_says_so(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed: pip install 'semrsm[cluster]'")
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    refuse(semrsm, "rsm", "cluster=slurm", complaint="needs sbatch, which is not on this machine's PATH", exit_code=2)


def test_settings_of_a_cluster_are_checked_on_the_command_line(semrsm: Command) -> None:
    refuse(semrsm, "cka", "cluster.nodes=2", complaint="cluster.nodes is a setting of cluster=slurm", exit_code=2)
    refuse(semrsm, "bench", "cluster=dask", complaint="cluster", exit_code=2)
