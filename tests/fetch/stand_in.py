"""A stand-in for the Hugging Face hub on this machine: its API, its files, and what can go wrong with them."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

COMMIT, LATER = "a" * 40, "b" * 40


@dataclass
class Hub:
    """What the stand-in holds and does.

    Attributes:
        files: Content by repository and name.
        commit: What the branch main stands for.
        gated: Whether it asks for a token, and for consent.
        breaks_after: Bytes after which the next answer's connection breaks; None for never.
        tells_wrong: Whether it tells the checksums of other files.
        ranges: Whether it can send the rest of a file.
        moved_to: Another host that it sends those to who ask for a file.
        asked: Every request so far: path, range, token.
    """

    files: dict[str, dict[str, bytes]]
    commit: str = COMMIT
    gated: bool = False
    breaks_after: int | None = None
    tells_wrong: bool = False
    ranges: bool = True
    moved_to: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    def fetched(self, name: str) -> list[str]:
        """The ranges in which a file was asked for."""
        return [span for path, span, _ in self.asked if path.endswith(f"/{name}")]


@contextmanager
def stand_in(hub: Hub, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a hub, and have everything ask it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span, token = self.headers.get("Range", ""), self.headers.get("Authorization", "")
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((path, span, token))
            if path.startswith("/api/"):
                self.answer(200, listing(hub, path))
            elif hub.moved_to:
                self.send_response(302)
                self.send_header("Location", hub.moved_to + path)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif hub.gated:
                self.answer(401, b"Access is restricted")
            else:
                self.send(path, span)

        def send(self, path: str, span: str) -> None:
            repository, _, rest = path.removeprefix("/datasets").lstrip("/").partition("/resolve/")
            commit, _, name = rest.partition("/")
            content = hub.files.get(repository, {}).get(name)
            if content is None or commit not in (COMMIT, LATER):
                return self.answer(404, b"")
            if span and int(span.removeprefix("bytes=").removesuffix("-")) >= len(content):
                return self.answer(416, b"")
            start = int(span.removeprefix("bytes=").removesuffix("-")) if span and hub.ranges else 0
            return self.answer(206 if start else 200, content[start:])

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if hub.breaks_after is not None and "/resolve/" in self.path:
                content, hub.breaks_after = content[: hub.breaks_after], None
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    patch.setenv("no_proxy", "127.0.0.1")
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def listing(hub: Hub, path: str) -> bytes:
    """What the API says of a repository."""
    _, _, rest = path.removeprefix("/api/").partition("/")
    repository, _, revision = rest.partition("/revision/")
    siblings = [describe(name, content, hub.tells_wrong) for name, content in hub.files[repository].items()]
    commit = revision if len(revision) == len(COMMIT) else hub.commit
    return json.dumps({"id": repository, "sha": commit, "cardData": {"license": "mit"}, "siblings": siblings}).encode()


def describe(name: str, content: bytes, is_wrong: bool) -> dict[str, object]:
    """A file as the API lists it; large ones by the checksum of their content, others by git's."""
    told = content + b"!" * is_wrong
    facts: dict[str, object] = {"rfilename": name, "size": len(content)}
    if name.endswith((".parquet", ".safetensors", ".bin")):
        return facts | {"lfs": {"sha256": hashlib.sha256(told).hexdigest(), "size": len(content)}}
    return facts | {"blobId": hashlib.sha1(b"blob %d\0" % len(told) + told).hexdigest()}
