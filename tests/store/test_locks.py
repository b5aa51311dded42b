"""Locks of the store."""

import threading
from pathlib import Path

from semrsm_cli.store import locked


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
