"""What the tables of bad input consist of: a name, how to make the file and read it, and what must be answered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Read = Callable[[], Any]
Case = tuple[str, Callable[[Path], Read], str]


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def then(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for step in steps:
            step(path)

    return make


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)
