"""Progress in a log."""

import pytest

from semrsm_cli.report import progress


def test_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 25.0, 30.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.tracked("match", 100, done=20) as advance:
        for _ in range(4):
            advance(20)
    assert capsys.readouterr().err.splitlines() == ["match: 60 of 100, 25 seconds left"]


def test_durations_and_sizes_in_words() -> None:
    for seconds, words in (
        (0.4, "0 seconds"),
        (59.4, "59 seconds"),
        (725, "12 minutes"),
        (5999, "1 hour and 40 minutes"),
        (12_240, "3 hours and 24 minutes"),
        (98_765, "1 day, 3 hours and 26 minutes"),
    ):
        assert progress.duration(seconds) == words
    for n_bytes, words in ((0, "0 Bytes"), (1024, "1.0 KiB"), (12.4 * 2**20, "12.4 MiB"), (3.4 * 2**30, "3.4 GiB")):
        assert progress.size(n_bytes) == words
