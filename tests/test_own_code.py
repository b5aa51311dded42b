"""Functions that the command line names: what is run is what is hashed, wherever it lies and whatever ran before."""

import random
import sys
from pathlib import Path

import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.own_code import call_own, own_label


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_a_function_is_called_with_its_options_by_file_or_by_module(folder: Path) -> None:
    write(folder / "package", __init__="", code="def build(width=1):\n    return 10 * width\n")
    by_file = call_own("package/code.py:build", {"width": 3}, setting="model.name")
    by_module = call_own("package.code:build", {}, setting="model.name")
    assert (by_file[0], by_module[0]) == (30, 10)
    assert not {"code.py", "package.code"} & {*sys.modules}
    assert str(folder) not in sys.path


def test_an_edited_file_is_run_as_it_is_now_and_has_another_hash(folder: Path) -> None:
    write(folder, net="from blocks import depth\ndef build(): return depth\n", blocks="depth = 1\n", other="x = 1\n")
    first = call_own("net.py:build", {}, setting="model.name")
    assert call_own("net.py:build", {}, setting="model.name") == first
    write(folder, blocks="depth = 2\n", other="x = 2\n")  # as long as before, in the same second
    second = call_own("net:build", {}, setting="model.name")
    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    write(folder, other="x = 3\n")  # nobody imports it
    assert call_own("net.py:build", {}, setting="model.name") == second


def test_a_hash_does_not_depend_on_the_place_nor_on_another_file_of_that_name(folder: Path) -> None:
    text = "from .parts import depth\nimport random\ndef build(): return depth, random.__file__\n"
    for place, depth in (("a", 1), ("b", 2), ("c", 1)):
        write(folder / place / "nets", __init__="", net=text, parts=f"depth = {depth}\n")
    found = {}
    for place in "abc":
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / place)
            found[place] = call_own("nets.net:build", {}, setting="model.name")
    assert [found[place][0][0] for place in "abc"] == [1, 2, 1]
    assert found["a"] == found["c"] != found["b"]
    assert found["a"][0][1] == random.__file__


def test_an_installed_function_is_told_apart_by_its_version(folder: Path) -> None:
    value, source = call_own("numpy:ones", {"shape": 2}, setting="model.name")
    assert value.tolist() == [1, 1]
    assert source.startswith("numpy ")
    assert call_own("os.path:basename", {"p": "a/b"}, setting="model.name")[0] == "b"


def test_a_label_does_not_say_where_a_file_lies() -> None:
    assert own_label("/home/me/net.py:build") == own_label("net.py:build") == "net.py:build"
    assert own_label("package.nets:build") == "package.nets:build"


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        (
            "net.py",
            {},
            "model.name=net.py names no function; write path/to/file.py:function or package.module:function",
        ),
        ("net.py:", {}, "names no function"),
        ("absent.py:build", {}, "there is no absent.py; model.name takes path/to/file.py:function"),
        ("absent:build", {}, "absent cannot be imported: ModuleNotFoundError: No module named 'absent'"),
        ("net.py:biuld", {}, "net.py has no function 'biuld', it has build"),
        ("net.py:build", {"width": 1}, r"net.py:build\(width=1\) fails: TypeError: .*unexpected keyword"),
        ("net.py:build", {}, r"net.py:build\(\) fails: KeyError: 'stem' \(net.py, line 2\)"),
        ("broken.py:build", {}, r"broken.py cannot be imported: SyntaxError: "),
        ("late.py:build", {}, r"late.py cannot be imported: ZeroDivisionError: division by zero \(late.py, line 1\)"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(folder: Path, name: str, options: dict[str, int], complaint: str) -> None:
    write(folder, net="def build():\n    return {}['stem']\n", broken="def build(:\n", late="x = 1 / 0\n")
    with pytest.raises(SemrsmError, match=complaint) as caught:
        call_own(name, options, setting="model.name")
    assert "\n" not in str(caught.value)
    assert str(folder) not in sys.path
