"""One file over HTTP: resumed where it broke off, and verified before it gets its name."""

import errno
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import humanize

from semrsm_cli.errors import SemrsmError

__all__ = ["Download", "digest_file", "get", "require_room", "unreachable"]

_SILENT_SECONDS = 30.0
"""After which a connection that brings nothing is given up."""
_BLOCK = 2**18
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (401, 403)


class _SameHostOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects without handing what proves who one is to another host."""

    def redirect_request(self, req: urllib.request.Request, *arguments: Any) -> urllib.request.Request | None:
        """The request for the place that the server names."""
        following = super().redirect_request(req, *arguments)
        if following is not None and urlsplit(following.full_url).netloc != urlsplit(req.full_url).netloc:
            following.headers.pop("Authorization", None)
        return following


_OPENER = urllib.request.build_opener(_SameHostOnly)


@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Attributes:
        url: Where it is published.
        path: Where it shall lie.
        checksum: `sha256:` or `git:` (as git names a file) and hexadecimal digits, or the first of them.
        size: Bytes; None where only the server knows.
        terms: Page on which a refused download can be asked for.
    """

    url: str
    path: Path
    checksum: str
    size: int | None = None
    terms: str = ""

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.path.with_name(f"{self.path.name}.incomplete")

    @property
    def n_bytes_done(self) -> int:
        """How much of it is on the disk."""
        place = self.path if self.path.is_file() else self.part
        return place.stat().st_size if place.is_file() else 0

    def is_complete(self) -> bool:
        """Whether it lies there at its size."""
        return self.path.is_file() and self.size in (None, self.path.stat().st_size)

    def is_as_published(self, path: Path | None = None) -> bool:
        """Whether the file has its checksum; this reads all of it."""
        kind, _, digits = self.checksum.partition(":")
        return digest_file(path or self.path, kind).startswith(digits)

    def run(self, *, headers: Mapping[str, str] | None = None, advance: Callable[[int], None] = lambda n: None) -> None:
        """Fetch what is missing of it; a connection that breaks is taken up again for as long as each brings something.

        Args:
            headers: What the server wants to know.
            advance: Told of every block how many bytes it brought.

        Raises:
            SemrsmError: It cannot be had, the disk is full, or it is not what was published; what has come is kept,
                but for what is wrong.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            before = self.n_bytes_done
            try:
                with _explain_full_disk(self.path, self.size):
                    whole = self._append(dict(headers or {}), advance)
            except (OSError, http.client.HTTPException) as error:
                if self.n_bytes_done <= before:
                    raise SemrsmError(unreachable(self.url, error)) from error
                continue
            if whole:
                break
            if self.n_bytes_done <= before:
                raise SemrsmError(unreachable(self.url, "it closed the connection"))
        if not self.is_as_published(self.part):
            kind, _, digits = self.checksum.partition(":")
            found = digest_file(self.part, kind)[: len(digits)]
            self.part.unlink()
            raise SemrsmError(
                f"{self.url} is not what was published: its {kind} checksum is {found}, not {digits}; it was removed, "
                "fetch it again"
            )
        self.part.replace(self.path)

    def _append(self, headers: dict[str, str], advance: Callable[[int], None]) -> bool:
        """Read on until the server ends; whether that is the end of the file."""
        done = self.part.stat().st_size if self.part.is_file() else 0
        if self.size is not None and done > self.size:
            advance(-done)
            self.part.unlink()
            done = 0
        if done == self.size:
            return True
        resumed = {"Range": f"bytes={done}-"} if done else {}  # nothing is behind a whole file: 416
        with get(self.url, headers | resumed, terms=self.terms) as answer:
            if answer.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True
            if done and answer.status != http.client.PARTIAL_CONTENT:  # the server begins anew
                advance(-done)
                done = 0
            length = answer.headers.get("Content-Length")
            size = self.size if self.size is not None else done + int(length) if length else None
            with self.part.open("ab" if done else "wb") as file:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    done += len(block)
                    advance(len(block))
        return size is None or done >= size


def get(url: str, headers: Mapping[str, str], *, terms: str = "") -> Any:
    """What a server answers, to be read and closed.

    Raises:
        SemrsmError: It refuses, or there is no such page.
        OSError: It cannot be reached.
    """
    try:
        return _OPENER.open(urllib.request.Request(url, headers=dict(headers)), timeout=_SILENT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        with error:
            if error.code in _REFUSED:  # also what is private, or not there, is only refused
                consent = f"accept its terms on {terms}, then run hf auth login" if terms else "try again later"
                raise SemrsmError(f"{url} is refused ({error.code}); {consent}, and fetch again") from error
            raise SemrsmError(f"{url} cannot be had ({error.code} {error.reason}); try again later") from error


def require_room(folder: Path, n_bytes: int, variable: str) -> None:
    """Raise SemrsmError where a disk has no room for so many bytes; `variable` moves the folder to another."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if n_bytes > free:
        raise SemrsmError(
            f"{folder} has room for {humanize.naturalsize(free)}, and {humanize.naturalsize(n_bytes)} are to come; "
            f"set {variable} to a disk with more"
        )


def digest_file(path: Path, kind: str) -> str:
    """Hexadecimal digits of a file's `sha256`, or of the name that `git` gives it."""
    if kind == "git":
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _explain_full_disk(path: Path, size: int | None) -> Iterator[None]:
    """Say that the disk is full, and what is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        whole = f", which takes {humanize.naturalsize(size)}" if size else ""
        raise SemrsmError(
            f"cannot write {path}{whole}: {os.strerror(error.errno or 0)}; what has come is kept: free room on this "
            "disk, and fetch again"
        ) from error


def unreachable(url: str, error: object) -> str:
    """What to say of a server that cannot be reached, on one line."""
    reason = getattr(error, "reason", None) or error
    name = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    host = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    return f"{host} cannot be reached ({name}); what has come is kept: fetch again where there is a network"
