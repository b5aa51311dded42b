"""Where the store lies, and its keys."""

import re
from pathlib import Path

import pytest

from semrsm_cli.store import cache_folder, digest


def test_cache_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SEMRSM_CACHE")
    assert cache_folder().name == "semrsm"


def test_a_key_tells_values_apart_and_not_their_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    different = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {"a": [1]}, {}, [1, 2], [2, 1]]
    assert len({digest(one) for one in different}) == len(different)
    assert re.fullmatch("[0-9a-f]{32}", digest(different[0]))
