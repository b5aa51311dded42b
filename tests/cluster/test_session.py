"""Units of work on a Dask cluster: handed out few at a time, done again where a worker is lost, refused by name."""

import collections
import logging
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from semrsm_cli.cluster import ClusterConfig, Session, inspection
from semrsm_cli.cluster.roster import Roster, _Worker
from semrsm_cli.errors import SemrsmError
from tests.cluster import units
from tests.cluster.conftest import QUIET
from tests.cluster.units import Shared


def begun(folder: Path) -> collections.Counter[int]:
    """How often each unit was begun."""
    return collections.Counter(int(line.split()[0]) for line in (folder / "begun").read_text().splitlines())


def test_every_job_gets_its_result(session: Session, tmp_path: Path) -> None:
    assert dict(session.map(units.square, Shared(tmp_path), range(20))) == {job: job**2 for job in range(20)}
    assert dict(session.map(units.square, Shared(tmp_path), [])) == {}
    assert dict(session.map(units.square, Shared(tmp_path), [7])) == {7: 49}, "a session serves several steps"
    facts = session.facts
    assert (facts["engine"], facts["workers"], facts["units"], facts["units_repeated"]) == ("dask", 2, 21, 0)
    assert list(facts["hosts"].values()) == [inspection.processor()]
    assert session.cores == 4


def test_few_units_are_outstanding_and_they_are_small(session: Session, tmp_path: Path, dask_cluster: Any) -> None:
    shared = Shared(tmp_path)
    shared.large = bytes(10**6)  # type: ignore[attr-defined]
    most = 0
    for _ in session.map(units.slow, shared, range(40)):
        tasks = dask_cluster.scheduler.tasks
        most = max(most, len(tasks))
        for task in list(tasks.values()):
            assert len(pickle.dumps(task.run_spec)) < 2000, "what all units share goes by way of the store"
    assert 0 < most <= 2 * 2 + 2
    assert set(begun(tmp_path).values()) == {1}
    assert len({line.split()[1] for line in (tmp_path / "begun").read_text().splitlines()}) == 2, "both have worked"


def test_the_unit_of_a_killed_worker_is_done_by_another(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert sorted(job for job, _ in session.map(units.killed_once, Shared(tmp_path), range(30))) == [*range(30)]
    counts = begun(tmp_path)
    assert counts[3] == 2
    assert sum(counts.values()) <= 30 + 4, "at most the units in flight are begun again"


def test_a_worker_with_a_full_disk_gets_no_more_units(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert sorted(job for job, _ in session.map(units.full_disk, Shared(tmp_path), range(12))) == [*range(12)]
    (line,) = [record.getMessage() for record in caplog.records if "gets no more units" in record.getMessage()]
    assert line.endswith("No space left on device /scratch")
    assert session.facts["units_repeated"] >= 1


def test_units_that_were_given_to_a_worker_after_its_refusal_are_taken_back(session: Session, store: Path) -> None:
    fit, refused = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"
    for address in (fit, refused):
        session.roster._workers[address] = _Worker("here", "", 1, refusal="")
    connection = SimpleNamespace(
        client=SimpleNamespace(
            run=lambda *_, **__: None,
            processing=lambda: {fit: ("a",), refused: ("b",)},  # the scheduler has not heard of it yet
        )
    )
    of_fit, of_refused = (Mock(key=key, **{"done.return_value": False}) for key in "ab")
    pending: dict[Any, Any] = {of_fit: None, of_refused: None}
    found: Any = connection
    assert session._forgotten(found, pending) == []
    assert session.roster.refuse(found, refused, "No space left on device")
    assert session._forgotten(found, pending) == [of_refused]


@pytest.mark.slow
def test_what_fails_everywhere_ends_the_run(session: Session, tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match="No space left on device /scratch"):
        list(session.map(units.full_everywhere, Shared(tmp_path), range(3)))


def test_the_errors_of_units_are_those_of_the_run(session: Session, tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match="image 7 cannot be read; write it anew"):
        list(session.map(units.wrong, Shared(tmp_path), range(3)))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(session.map(units.bug, Shared(tmp_path), range(3)))
    assert dict(session.map(units.square, Shared(tmp_path), range(3))) == {0: 0, 1: 1, 2: 4}, "and it can go on"


def test_a_worker_of_another_version_is_refused_by_name_and_version(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = session.roster.expected["semrsm"]
    session.roster.expected = dict(session.roster.expected) | {"semrsm": "99.0"}
    with pytest.raises(SemrsmError, match=f"no worker may work: it has semrsm {here}, this run 99.0, on "):
        list(session.map(units.square, Shared(tmp_path), range(3)))
    refused = [record.getMessage() for record in caplog.records if "is refused" in record.getMessage()]
    assert len(refused) == 2
    assert refused[0].startswith("worker tcp://")


def test_the_sources_tell_two_checkouts_of_one_version_apart(session: Session, tmp_path: Path) -> None:
    session.roster.expected = dict(session.roster.expected) | {"semrsm's sources": "other"}
    with pytest.raises(SemrsmError, match=r"it has semrsm's sources .*, this run other"):
        list(session.map(units.square, Shared(tmp_path), range(3)))


def test_a_worker_that_does_not_see_the_store_is_refused(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.scratch()
    session.roster.stop_sign = Unseen(tmp_path / "store" / "session" / "here")
    with pytest.raises(SemrsmError, match=r"does not see the store .*/store, which must lie on a file system that all"):
        list(session.map(units.square, Shared(tmp_path), range(3)))


class Unseen:
    """A file that is there for the client alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def touch(self) -> None:
        """It is there already."""


def test_nothing_of_a_session_is_left(dask_cluster: Any, store: Path, tmp_path: Path) -> None:
    one = Session(ClusterConfig(name="dask", address=dask_cluster.scheduler_address))  # type: ignore[arg-type]
    list(one.map(units.square, Shared(tmp_path), range(3)))
    assert one.folder.is_dir()
    one.close()
    assert not list(store.iterdir())


def test_leaving_early_drops_what_was_not_begun(session: Session, tmp_path: Path, dask_cluster: Any) -> None:
    for _ in session.map(units.slow, Shared(tmp_path), range(100)):
        break
    assert sum(begun(tmp_path).values()) <= 8


def test_a_scheduler_that_is_lost_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'semrsm[cluster]'")
    from distributed import LocalCluster

    caplog.set_level(logging.CRITICAL, "distributed")
    monkeypatch.setattr("semrsm_cli.cluster.schedulers.CONNECT_S", 2)
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, **QUIET)
    lost = Session(ClusterConfig(name="dask", address=cluster.scheduler_address))  # type: ignore[arg-type]
    jobs = lost.map(units.slow, Shared(tmp_path), range(1000))
    try:
        next(jobs)
        cluster.close()
        with pytest.raises(SemrsmError, match="the Dask scheduler is gone"):
            list(jobs)
    finally:
        lost.close()
        cluster.close()


def test_a_run_waits_for_a_lost_worker_where_the_other_was_just_refused() -> None:
    roster = Roster(Path("/store/run/here"))
    refused = "tcp://127.0.0.1:2"
    roster._workers[refused] = _Worker("here", "", 1, refusal="No space left on device")
    nobody: Any = SimpleNamespace(why_no_worker=lambda: "")
    roster._unsettled = 100.0
    roster._require_workers(nobody, {refused}, 101.0)
    with pytest.raises(SemrsmError, match="no worker may work: No space left on device, on here"):
        roster._require_workers(nobody, {refused}, 106.0)
