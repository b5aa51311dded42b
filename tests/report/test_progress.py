"""Progress in a log."""

import pytest

from semrsm_cli.report import progress


def test_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 25.0, 30.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.tracked("match", 100, done=20) as advance:
        for _ in range(4):
            advance(20)
    assert capsys.readouterr().err.splitlines() == ["match: 60 of 100, 25 s left"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (12_240, "3.4 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


@pytest.mark.parametrize(("n_bytes", "words"), [(0, "0 KiB"), (12.4 * 2**20, "12 MiB"), (3.4 * 2**30, "3.4 GiB")])
def test_sizes_in_words(n_bytes: float, words: str) -> None:
    assert progress.size(n_bytes) == words
