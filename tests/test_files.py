"""Files and folders that appear as a whole or not at all."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.files import UNSEALED, atomic, is_sealed, seal


def test_a_file_appears_when_it_is_complete_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.csv"
    for text in ("first", "second"):
        with atomic(path) as unfinished:
            assert unfinished.parent == tmp_path
            assert unfinished.name.startswith(".")
            assert unfinished.suffix == ".csv"
            unfinished.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with atomic(tmp_path / "a") as unfinished:
        (unfinished / "b").mkdir(parents=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_after_an_error_nothing_is_left_and_the_old_file_stays(tmp_path):
    (tmp_path / "a").write_text("old")
    begin = {"a": lambda path: path.write_text("half"), "b": lambda path: (path / "c").mkdir(parents=True), "d": str}
    for name, write in begin.items():
        with suppress(KeyboardInterrupt), atomic(tmp_path / name) as unfinished:
            write(unfinished)
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_two_writers_do_not_meet(tmp_path):
    with atomic(tmp_path / "a") as first, atomic(tmp_path / "a") as second:
        assert first != second
        first.write_text("outer, the last to end")
        second.write_text("inner")
    assert (tmp_path / "a").read_text() == "outer, the last to end"


def test_a_folder_that_is_missing_is_an_error_of_the_writer(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "none" / "a") as unfinished:
        unfinished.write_text("x")


@given(before=st.binary(max_size=40), after=st.binary(max_size=40), data=st.data())
def test_sealed_content_tells_every_change(before: bytes, after: bytes, data: st.DataObject) -> None:
    sealed = seal(before + UNSEALED.encode() + after)
    assert is_sealed(sealed)
    assert not is_sealed(before + UNSEALED.encode() + after)
    assert not is_sealed(sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    changed = bytearray(sealed)
    changed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert not is_sealed(bytes(changed))


def test_a_seal_is_known_behind_what_looks_like_its_beginning() -> None:
    sealed = seal(b"blake2b-blake2b-" + UNSEALED.encode())
    assert is_sealed(sealed)
    assert not is_sealed(sealed.replace(b"blake2b-", b"blake2s-", 1))
