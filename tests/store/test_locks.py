"""Locks of the store."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from semrsm_cli.store import locked
from semrsm_cli.store import locks as locks_module
from semrsm_cli.store.locks import try_locked

HELD = """
import sys, time
from pathlib import Path
from semrsm_cli.store import locked, locks
locks._LEASE_S, locks._HEARTBEAT_S = 1.0, 0.2
with locked("key", Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks_module, "_LEASE_S", 1.0)
    monkeypatch.setattr(locks_module, "_HEARTBEAT_S", 0.2)


@contextmanager
def held_elsewhere(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HELD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def is_locked(key: str, root: Path) -> bool:
    with try_locked(key, root) as is_free:
        return not is_free


def seconds_to_lock(root: Path) -> float:
    start = time.monotonic()
    with locked("key", root):
        return time.monotonic() - start


def test_a_key_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    steps = []
    inside, waiting = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait()
        waiting.set()
        with locked("key", tmp_path):
            steps.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked("key", tmp_path):
        inside.set()
        waiting.wait()
        with locked("another key", tmp_path):
            steps.append("first")
    thread.join()
    assert steps == ["first", "second"]


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        try:
            with locked("key", tmp_path):
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    assert not list((tmp_path / "locks").iterdir()), "and leaves nothing"


def test_it_is_known_whether_a_key_is_locked(tmp_path: Path) -> None:
    assert not is_locked("key", tmp_path)
    with locked("key", tmp_path):
        assert is_locked("key", tmp_path)
        assert not is_locked("another key", tmp_path)
    assert not is_locked("key", tmp_path)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_lives_keeps_its_lock_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with held_elsewhere(tmp_path) as process:
        thread = threading.Thread(target=lambda: seconds_to_lock(tmp_path))
        thread.start()
        time.sleep(4)
        assert thread.is_alive()
        assert is_locked("key", tmp_path)
        (message,) = caplog.messages
        assert f"waits for process {process.pid} on " in message
        process.kill()
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_a_killed_process_frees_its_lock_at_once(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert seconds_to_lock(tmp_path) < 3


@pytest.mark.usefixtures("impatient")
def test_a_suspended_process_does_not_keep_others_waiting(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        assert seconds_to_lock(tmp_path) < 5
        with locked("key", tmp_path):
            process.send_signal(signal.SIGCONT)
            time.sleep(1)
            assert is_locked("key", tmp_path), "it did not take it back when it went on"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        "filelock/2\npid=1\nhost=another-host\nmode=lease\ntoken=0\nduration=1.0\nstart=1\n",
        "filelock/2\npid=1\nhost=another-host\nmo",
        "",
        "\xff\x00",
    ],
)
def test_what_a_killed_run_of_another_host_left_is_free_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, exchanges: bool
) -> None:
    if not exchanges:  # as on NFS; where filelock keeps the function depends on its version
        users = [module for name, module in sys.modules.items() if name.startswith("filelock")]
        users = [module for module in users if "exchange_names" in vars(module)]
        assert users
        for module in users:
            monkeypatch.setattr(module, "exchange_names", lambda *_: False)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "key.lease").write_text(content, encoding="latin-1")
    assert seconds_to_lock(tmp_path) < 12


def test_a_store_that_cannot_be_written_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with locked("key", tmp_path):
        pass
