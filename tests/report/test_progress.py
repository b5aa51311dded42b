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
