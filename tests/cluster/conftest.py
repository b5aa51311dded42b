"""A Dask cluster of two workers for all tests of a module, and a store of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semrsm_cli.cluster import ClusterConfig, Session

QUIET: dict[str, Any] = {
    "memory_limit": 0,
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": {"dashboard": False},
    "silence_logs": 50,
}


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    """Two workers of two threads each, in processes of their own."""
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'semrsm[cluster]'")
    import dask
    from distributed import LocalCluster

    from semrsm_cli.cluster.schedulers import _SETTINGS, _silence

    _silence()
    with dask.config.set(_SETTINGS), LocalCluster(n_workers=2, threads_per_worker=2, **QUIET) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def session(dask_cluster: Any, store: Path) -> Iterator[Session]:
    """A session of that cluster."""
    found = Session(ClusterConfig(name="dask", address=dask_cluster.scheduler_address))  # type: ignore[arg-type]
    try:
        yield found
    finally:
        found.close()
