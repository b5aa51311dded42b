"""The pages of the documentation and their examples, as Sybil finds them."""

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from sybil import Document, Example
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser
from sybil.typing import Evaluator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]}

_COMPOSED_ONLY = re.compile(r"<!-- composed only: .+ -->\n\Z")
_PRINTS = re.compile(r"<!-- prints -->\n\Z")
_INLINE = re.compile(r"`(semrsm [a-z]+ [^`]+)`")


def document_of(path: Path, run_command: Evaluator, compare_output: Evaluator) -> Document:
    """A page with its examples of Python, its commands, and what they print."""
    parsers = [
        PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE),
        CodeBlockParser("sh", run_command),
        CodeBlockParser("text", compare_output),
    ]
    return Document.parse(str(path), *parsers)


def language_of(example: Example) -> str:
    """`python`, `sh` or `text`."""
    fence = example.document.text[example.region.start :]
    found = re.match(r"```(\w+)", fence)
    return found[1] if found else "python"


def is_composed_only(example: Example) -> bool:
    """Whether the page's source says, above the block, that it needs what a test cannot have."""
    return bool(_COMPOSED_ONLY.search(example.document.text[: example.region.start]))


def is_printed(example: Example) -> bool:
    """Whether a block is what the command before it prints."""
    return bool(_PRINTS.search(example.document.text[: example.region.start]))


def commands_of(path: Path) -> Iterator[list[str]]:
    """Every `semrsm` command of a page, as words: those of its blocks, and those with settings within its text."""
    text = path.read_text()
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from commands_in(block)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in _INLINE.findall(outside):
        yield from commands_in(line)


def commands_in(block: str) -> Iterator[list[str]]:
    """The `semrsm` commands of a shell's lines."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;|\|", line):
            words = shlex.split(part, comments=True)
            if words[:1] == ["semrsm"]:
                yield words[1:]
