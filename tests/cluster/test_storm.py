"""Workers are killed again and again: the result is the same bytes, and only units in flight are done again."""

import logging
import os
import random
import signal
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrsm_cli.cluster import ClusterConfig, Session, tile_engine
from semrsm_cli.errors import SemrsmError
from semrsm_cli.matching import affinities as affinities_module
from semrsm_cli.rsm import Matcher, gram
from semrsm_cli.rsm import matcher as matcher_module
from semrsm_cli.rsm import plan as plan_module
from semrsm_cli.store import TileFolder
from tests.cluster import units
from tests.cluster.conftest import QUIET
from tests.cluster.units import Shared


def processes(dask_cluster: Any) -> list[int]:
    """The processes of the workers that are there now."""
    return [nanny.pid for nanny in dask_cluster.workers.values() if nanny.pid]


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_units_survive_the_loss_of_all_workers_at_once(session: Session, tmp_path: Path, dask_cluster: Any) -> None:
    done = []
    for job, _ in session.map(units.slow, Shared(tmp_path), range(60)):
        done.append(job)
        if len(done) == 10:
            assert all([kill(pid) for pid in processes(dask_cluster)])
    assert sorted(done) == [*range(60)]
    begun = (tmp_path / "begun").read_text().splitlines()
    assert len(begun) <= 60 + 4


def _plan_many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 210 tiles, of few images each."""
    monkeypatch.setattr(plan_module, "_TILES_ON_A_SIDE", 20)
    for module in (affinities_module, matcher_module):
        monkeypatch.setattr(module, "PRODUCT_BYTES", 0)


@pytest.mark.slow
def test_after_a_restart_of_the_scheduler_the_store_has_what_was_done(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'semrsm[cluster]'")
    from distributed import LocalCluster

    caplog.set_level(logging.CRITICAL, "distributed")
    monkeypatch.setattr("semrsm_cli.cluster.schedulers.CONNECT_S", 2)
    _plan_many_tiles(monkeypatch)
    x = np.maximum(np.random.default_rng(0).normal(size=(64, 9, 4)), 0).astype(np.float32)
    expected = gram(x, matcher=Matcher())
    tiles = TileFolder({"restart": 1})
    found = None
    for is_lost in (True, False):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, **QUIET)
        one = Session(ClusterConfig(name="dask", address=cluster.scheduler_address))  # type: ignore[arg-type]
        done: list[int] = []

        def advance(n: int, done: list[int] = done, cluster: Any = cluster if is_lost else None) -> None:
            done.append(n)
            if cluster is not None and len(done) == 5:
                cluster.close()

        try:
            with pytest.raises(SemrsmError, match="the same command goes on") if is_lost else nullcontext():
                found = gram(x, matcher=Matcher(), tiles=tiles, engine=tile_engine(one, tiles), progress=advance)
        finally:
            one.close()
            cluster.close()
    assert found is not None
    assert found.inner.tobytes() == expected.inner.tobytes()
    written = [line for line in (tiles.path / "inner" / "checksums.csv").read_text().splitlines() if "/" in line]
    assert len(written) - len(set(written)) <= 2, "only units in flight are done again"
    assert len(set(written)) > 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_storm_of_kills_changes_no_byte(
    session: Session, store: Path, tmp_path: Path, dask_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plan_many_tiles(monkeypatch)
    x = np.maximum(np.random.default_rng(0).normal(size=(200, 100, 16)), 0).astype(np.float32)
    slow = Matcher(method="ortools")  # type: ignore[arg-type]
    expected = gram(x, matcher=slow)
    ended, kills = threading.Event(), []

    def storm() -> None:
        dice = random.Random(0)
        while not ended.wait(dice.uniform(3, 6)):
            # where a worker takes longer to start than the next kill to come, nothing would ever be done
            if len(dask_cluster.scheduler.workers) == 2 and (pids := processes(dask_cluster)):
                kills.append(kill(dice.choice(pids)))

    killer = threading.Thread(target=storm)
    killer.start()
    tiles = TileFolder({"storm": 1})
    try:
        found = gram(x, matcher=slow, tiles=tiles, engine=tile_engine(session, tiles))
    finally:
        ended.set()
        killer.join()
    assert found.inner.tobytes() == expected.inner.tobytes()
    assert found.bound.tobytes() == expected.bound.tobytes()
    written = [line for line in (tiles.path / "inner" / "checksums.csv").read_text().splitlines() if "/" in line]
    assert len(set(written)) == 210
    assert sum(kills) >= 3
    assert len(written) - 210 <= 2 * sum(kills), "of each worker that was killed the units that it had begun"
