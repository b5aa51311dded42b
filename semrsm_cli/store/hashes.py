"""Hashes of files, remembered so that 20,000 images need not be read to be told apart.

A line of `hashes.txt` holds the hash of a file's identity (path, size, times of its content and of its inode, inode,
device), that of its content, and a checksum of both. Lines are only ever added. Whatever happens to the file, by a
crash, a full disk or a network file system that mixes the lines of two hosts, costs no more than hashing again: that is
why it is no database.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from semrsm_cli.store.keys import cache_folder

__all__ = ["HASHES", "FileHashes"]

HASHES = "hashes.txt"
_RACY_NS = 2_000_000_000  # a file may change twice within a tick of its clock, which is 2 s on FAT


class FileHashes:
    """Hashes files that are new, and remembers those that it saw before; as a context it keeps what is new.

    Args:
        hash_file: Reads a file and hashes it; it must not read a file that has changed meanwhile into one hash.
        root: The store.
    """

    def __init__(self, hash_file: Callable[[Path], str], root: Path | None = None) -> None:
        self._hash_file = hash_file
        self._path = (root or cache_folder()) / HASHES
        self._known = _read_lines(self._path)
        self._new: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._new:
            return
        with suppress(OSError):  # it is remembered next time
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write("\n" + "".join(_line(identity, content) for identity, content in self._new.items()))

    def __call__(self, path: Path) -> str:
        """Hash of a file's bytes."""
        before = _identity(path)
        if before in self._known:
            return self._known[before]
        content = self._hash_file(path)
        if before and before == _identity(path, min_age_ns=_RACY_NS):
            self._known[before] = self._new[before] = content
        return content


def _identity(path: Path, *, min_age_ns: int | None = None) -> str:
    """Hash of what changes when a file is replaced or written; empty where it is not there, or younger than that."""
    try:
        status = path.stat()
    except OSError:
        return ""
    if min_age_ns is not None and time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < min_age_ns:
        return ""
    times = status.st_mtime_ns, status.st_ctime_ns
    text = f"{status.st_size} {times} {status.st_ino} {status.st_dev} ".encode() + os.fsencode(path.absolute())
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _line(identity: str, content: str) -> str:
    return f"{identity} {content} {zlib.crc32(f'{identity} {content}'.encode()):08x}\n"


def _read_lines(path: Path) -> dict[str, str]:
    """The lines of a file that are whole."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").split("\n") if path.is_file() else []
    except OSError:
        return {}
    known = {}
    for line in lines:
        identity, _, rest = line.partition(" ")
        content, _, _ = rest.partition(" ")
        if f"{line}\n" == _line(identity, content):
            known[identity] = content
    return known
