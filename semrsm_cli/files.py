"""Files and folders that appear as a whole or not at all, and files that tell whether they are whole."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["LAST_USED", "UNFINISHED", "UNSEALED", "atomic", "is_sealed", "note_use", "remove_unfinished", "seal"]

UNFINISHED = re.compile(r"\.([0-9a-f]{32}|scenes-).*")
"""Names of what is being written; a killed run leaves them behind."""

LAST_USED = "last_used"
"""An empty file in a folder of the store, touched when a run uses what lies there."""

_SEAL, _BLANK = b"blake2b-", b"0" * 32
UNSEALED = (_SEAL + _BLANK).decode()
"""A text to put into a file's header, which `seal` makes the checksum of all its bytes."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file or a folder beside its place, and move it there when it is complete.

    The temporary path is hidden, lies in the same folder and ends as `path` does, for writers that go by the suffix. A
    file of that name is replaced; a folder is only where it is empty.

    Args:
        path: Where the file or folder shall appear; its parent exists.

    Yields:
        The path to write to. After an error nothing is left there, and `path` is as it was.

    Raises:
        OSError: It cannot be written, or cannot be moved into its place.
    """
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove what writers that were killed left below a folder; nobody else may be writing there."""
    for leftover in [path for path in folder.rglob(".*") if UNFINISHED.fullmatch(path.name)]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def note_use(folder: Path) -> None:
    """Note that a folder of the store is used, for `semrsm store clear`; one that is read-only is left as it is."""
    with suppress(OSError):
        (folder / LAST_USED).touch()


def seal(content: bytes) -> bytes:
    """Content that holds `UNSEALED`, with its checksum in that place."""
    return content.replace(_SEAL + _BLANK, _SEAL + _digest(content), 1)


def is_sealed(content: bytes) -> bool:
    """Whether content is as it was sealed, to the last bit."""
    start = content.find(_SEAL)
    while start >= 0:
        first, last = start + len(_SEAL), start + len(_SEAL) + len(_BLANK)
        if content[first:last] == _digest(content[:first] + _BLANK + content[last:]):
            return True
        start = content.find(_SEAL, start + 1)  # what precedes the seal may look like its beginning
    return False


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=len(_BLANK) // 2).hexdigest().encode()
