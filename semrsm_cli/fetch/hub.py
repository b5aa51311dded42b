"""Repositories of the Hugging Face hub, fetched into its cache at one commit."""

import http.client
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch.download import get, require_room, unreachable
from semrsm_cli.fetch.record import Record, page_of, read_record, repository_folder

__all__ = ["Repository", "require_online"]

_BRANCH = "main"


@dataclass(frozen=True)
class Repository:
    """A data set or a model on the hub.

    Attributes:
        name: Its id.
        kind: `dataset` or `model`.
        choose: Which of its files are fetched.
        branch: Branch, tag or commit whose newest state is fetched first.
    """

    name: str
    kind: str
    choose: Callable[[Sequence[str]], list[str]] = list
    branch: str | None = None

    @property
    def folder(self) -> Path:
        """Where it lies in Hugging Face's cache."""
        return repository_folder(self.name, self.kind)

    @property
    def page(self) -> str:
        """The page that tells of it."""
        return page_of(self.name, self.kind)

    def noted(self) -> Record | None:
        """What was fetched of it."""
        return read_record(self.name, self.kind)

    def plan(self, revision: str | None = None) -> Record:
        """What is to be fetched: of the commit noted at the first fetch, or of the one that a revision stands for now.

        Args:
            revision: Branch, tag or commit; None for what was noted, and where nothing was for the branch `main`.

        Returns:
            The files, also those of an earlier fetch.

        Raises:
            SemrsmError: The hub does not know it, or cannot be reached.
        """
        noted = self.noted()
        if noted is None or revision not in (None, noted.commit):
            asked = self._ask(revision or self.branch or _BRANCH)
            noted = replace(asked, chosen=noted.chosen if noted and noted.commit == asked.commit else ())
        chosen = self.choose(list(noted.files))
        if not chosen:
            raise SemrsmError(f"{self.name} holds no such files at {noted.revision}; it holds {', '.join(noted.files)}")
        return replace(noted, chosen=tuple(sorted({*noted.chosen, *chosen})))

    def fetch(self, plan: Record, advance: Callable[[int], None] = lambda n: None) -> None:
        """Fetch the files that are missing or damaged, and note the commit.

        Args:
            plan: What `plan` gave.
            advance: Told of every block how many bytes it brought.

        Raises:
            SemrsmError: A file cannot be had, is not what was published, or another process is fetching it.
        """
        require_room(plan.folder, plan.n_bytes - plan.n_bytes_done, "HF_HOME")
        is_new = not plan.folder.exists()
        lock = plan.folder.parent / ".locks" / plan.folder.name / "semrsm.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=0):
                for name in plan.chosen:
                    if not plan.is_whole(name):
                        self._fetch_file(plan, name, advance)
                plan.write()
        except Timeout as error:
            raise SemrsmError(f"another process is fetching {self.name}; wait for it to end") from error
        finally:
            if is_new and not any(path.is_file() for path in plan.folder.rglob("*")):
                shutil.rmtree(plan.folder, ignore_errors=True)

    def _fetch_file(self, plan: Record, name: str, advance: Callable[[int], None]) -> None:
        """Fetch a file, unless the cache has it already, and give it its name."""
        file = plan.download(name)
        if not (file.is_complete() and file.is_as_published()):
            require_online()
            if file.path.is_file():
                advance(-file.path.stat().st_size)  # it had been counted
                file.path.unlink()
            file.run(headers=_headers(), advance=advance)
        plan.write()  # from the first file on the commit is settled
        plan.link(name)

    def _ask(self, revision: str) -> Record:
        """What the hub holds at a revision."""
        require_online()
        from huggingface_hub import constants

        url = f"{constants.ENDPOINT}/api/{self.kind}s/{self.name}/revision/{quote(revision, safe='')}?blobs=true"
        try:
            with get(url, _headers(), terms=self.page) as answer:
                told = json.load(answer)
        except (OSError, http.client.HTTPException) as error:
            raise SemrsmError(unreachable(url, error)) from error
        except ValueError as error:
            raise SemrsmError(f"{url} answers what is no JSON; is there a proxy or a login page between?") from error
        files = {file["rfilename"]: _facts_of(file) for file in told["siblings"]}
        unsafe = [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
        if unsafe:
            raise SemrsmError(f"{self.name} names a file {unsafe[0]}, which would lie outside of its folder")
        licence = (told.get("cardData") or {}).get("license") or "none"
        licence = licence if isinstance(licence, str) else ", ".join(map(str, licence))
        return Record(self.name, self.kind, revision, str(told["sha"]), licence, files, ())


def _facts_of(file: dict[str, Any]) -> dict[str, Any]:
    """Size and checksum of a file: that of its content where it is a large one, else git's."""
    large = file.get("lfs")
    if large:
        return {"size": int(large["size"]), "checksum": f"sha256:{large['sha256']}"}
    return {"size": int(file["size"]), "checksum": f"git:{file['blobId']}"}


def _headers() -> dict[str, str]:
    """Who asks: the user's token, if there is one."""
    from huggingface_hub import get_token

    token = None
    with suppress(OSError):
        token = get_token()
    return {"User-Agent": "semrsm"} | ({"Authorization": f"Bearer {token}"} if token else {})


def require_online() -> None:
    """Raise SemrsmError where the user wants no network to be used."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise SemrsmError("HF_HUB_OFFLINE is set, so that nothing is fetched; unset it where there is a network")
