"""Every command and every Python example of README and docs: all compose or run, and print what the page shows.

A block below `<!-- composed only: WHY -->` needs what a test cannot have, and is composed, not run. A block of text
below `<!-- prints -->` is compared with what the block before it prints; `...` stands for anything.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example

from semrsm_cli.cli import TASKS
from tests.command import Command
from tests.docs.pages import PAGES, commands_of, document_of, is_composed_only, is_printed, language_of

_NUMBER = re.compile(r"-?\d+\.\d+")
LANGUAGES = {"sh", "python", "text", "csv", "yaml", "{eval-rst}", "{toctree}", "{settings}", "{bibliography}"}
_TOLERANCE = 0.02  # of printed numbers, from one machine to another

every_page = pytest.mark.parametrize("page", PAGES)
pytestmark = pytest.mark.skipif(not Path("docs/conf.py").exists(), reason="the documentation lies in a checkout only")


class Shell:
    """Runs a page's commands in one folder, and remembers what the last block printed."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.printed = folder, ""
        scripts = Path(sys.executable).parent
        self.environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "SEMRSM_DATA")}
        self.environment |= {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "SEMRSM_CACHE": str(cache),
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "Agg",
        }

    def run(self, example: Example) -> None:
        """Run a block."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", example.parsed],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{example.path}, line {example.line}: {example.parsed}\n{done.stderr[-2000:]}"
        self.printed = done.stdout + done.stderr

    def compare(self, example: Example) -> None:
        """Compare a block of text with what was printed."""
        if is_printed(example):
            assert_printed(example.parsed, self.printed, f"{example.path}, line {example.line}")


def assert_printed(shown: str, printed: str, place: str) -> None:
    """Every line that is shown was printed, in this order, with numbers that are nearly the same."""
    lines = iter(line.split() for line in printed.splitlines())
    for line in shown.splitlines():
        words = line.split()
        if words != ["..."]:
            assert any(is_same(words, candidate) for candidate in lines), f"{place}: not printed: {line}\n{printed}"


def is_same(shown: list[str], printed: list[str]) -> bool:
    """Whether two lines say the same."""
    return len(shown) == len(printed) and all(map(is_same_word, shown, printed))


def is_same_word(shown: str, printed: str) -> bool:
    """Whether two words are the same, but for the last digits of numbers; `...` is any text."""
    if "..." in shown:
        return bool(re.fullmatch(re.escape(shown).replace(re.escape("..."), ".*"), printed))
    numbers, others = _NUMBER.findall(shown), _NUMBER.findall(printed)
    close = (abs(float(a) - float(b)) <= _TOLERANCE for a, b in zip(numbers, others, strict=False))
    return _NUMBER.sub("", shown) == _NUMBER.sub("", printed) and len(numbers) == len(others) and all(close)


def test_a_wrong_number_and_a_missing_line_are_noticed() -> None:
    assert_printed("a 0.500\n...\nb [0.1, 0.2]", "x\na 0.505\ny\nb [0.11, 0.19]", "here")
    for shown in ("a 0.600", "c", "b [0.1, 0.2]\na 0.500", "a 0.5 1"):
        with pytest.raises(AssertionError, match="here: not printed"):
            assert_printed(shown, "a 0.505\nb [0.11, 0.19]", "here")


@every_page
def test_every_block_says_its_language(page: str) -> None:
    openings = re.findall(r"^ *```(.*)$", PAGES[page].read_text(), re.MULTILINE)[::2]
    assert {opening.split(" ")[0] for opening in openings} - LANGUAGES == set()


@every_page
def test_every_command_composes(page: str, semrsm: Command) -> None:
    for words in commands_of(PAGES[page]):
        if {"--help", "--version"} & set(words) or words[0] not in TASKS:
            assert words[0] in (*TASKS, "--version", "--help"), words
            continue
        result = semrsm(*one_job(words), "--cfg", "job")
        assert result.exit_code == 0, f"{page}: semrsm {' '.join(words)}\n{result.output}"


def one_job(words: list[str]) -> Iterator[str]:
    """The first job of a sweep: every setting with the first of its values."""
    is_sweep = {"--multirun", "-m"} & set(words)
    for word in words:
        key, equals, value = word.partition("=")
        if word not in ("--multirun", "-m"):
            yield key + equals + value.split(",")[0] if is_sweep and not value.startswith("[") else word


def run_page(page: str, folder: Path, cache: Path, languages: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
    """Run the examples of a page that are in some languages, one after the other in one folder."""
    patch.chdir(folder)
    shell = Shell(folder, cache)
    for example in document_of(PAGES[page], shell.run, shell.compare):
        if language_of(example) in languages and not is_composed_only(example):
            example.evaluate()


@every_page
def test_python_runs(page: str, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, tmp_path, shared_cache, ("python",), monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@every_page
def test_all_of_a_page_runs(page: str, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, tmp_path, shared_cache, ("python", "sh", "text"), monkeypatch)
