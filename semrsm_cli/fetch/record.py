"""What was fetched of a repository of the Hugging Face hub, noted beside it: the same commit is demanded ever after."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch.download import Download
from semrsm_cli.files import atomic

__all__ = ["Record", "fetched_folder", "page_of", "read_record", "repository_folder"]

_NAME = "semrsm.json"


@dataclass(frozen=True)
class Record:
    """What a repository holds at the commit that was fetched.

    Attributes:
        repository: Id on the hub.
        kind: `dataset` or `model`.
        revision: Branch, tag or commit that was asked for.
        commit: The commit that it stood for then.
        licence: What the repository's card says of it.
        files: Size and checksum of every file, whether fetched or not.
        chosen: The files that were asked for.
    """

    repository: str
    kind: str
    revision: str
    commit: str
    licence: str
    files: dict[str, dict[str, Any]]
    chosen: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the repository lies in Hugging Face's cache."""
        return repository_folder(self.repository, self.kind)

    @property
    def snapshot(self) -> Path:
        """The folder in which the files have their own names."""
        return self.folder / "snapshots" / self.commit

    @property
    def n_bytes(self) -> int:
        """Bytes of the files that were asked for."""
        return sum(self.files[name]["size"] for name in self.chosen)

    @property
    def n_bytes_done(self) -> int:
        """How many of them are on the disk, or in part."""
        return sum(
            self.files[name]["size"] if self._is_there(name) else self.download(name).n_bytes_done
            for name in self.chosen
        )

    def download(self, name: str) -> Download:
        """A file as it is fetched: under its checksum, as in Hugging Face's cache."""
        page = page_of(self.repository, self.kind)
        size, checksum = self.files[name]["size"], self.files[name]["checksum"]
        return Download(
            url=f"{page}/resolve/{self.commit}/{quote(name)}",
            path=self.folder / "blobs" / checksum.partition(":")[2],
            checksum=checksum,
            size=size,
            terms=page,
        )

    def missing(self) -> list[str]:
        """The chosen files that do not lie there at their size."""
        return [name for name in self.chosen if not self._is_there(name)]

    def damaged(self) -> list[str]:
        """The chosen files that do not have their checksum; this reads them all."""
        return [name for name in self.chosen if self._is_there(name) and not self.is_whole(name)]

    def is_whole(self, name: str) -> bool:
        """Whether a file lies there with its checksum."""
        return self._is_there(name) and self.download(name).is_as_published(self.snapshot / name)

    def link(self, name: str) -> None:
        """Give a fetched file its own name in the snapshot."""
        named, blob = self.snapshot / name, self.download(name).path
        named.parent.mkdir(parents=True, exist_ok=True)
        named.unlink(missing_ok=True)
        up = PurePosixPath(*[".."] * len(named.parent.relative_to(self.folder).parts))
        try:
            named.symlink_to(up / "blobs" / blob.name)
        except OSError:  # a file system without links
            blob.replace(named)

    def write(self) -> None:
        """Note it beside the files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self.folder / _NAME) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def _is_there(self, name: str) -> bool:
        path = self.snapshot / name
        return path.is_file() and path.stat().st_size == self.files[name]["size"]


def repository_folder(repository: str, kind: str) -> Path:
    """Where a repository lies in Hugging Face's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, f"{kind}s--{repository.replace('/', '--')}")


def read_record(repository: str, kind: str) -> Record | None:
    """What was noted of a repository; None where nothing was fetched by `semrsm data`.

    Raises:
        SemrsmError: It cannot be read.
    """
    path = repository_folder(repository, kind) / _NAME
    try:
        noted = json.loads(path.read_bytes())
        return Record(**noted | {"chosen": tuple(noted["chosen"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SemrsmError(f"{path} is damaged; remove it, and fetch {repository} again") from error


def fetched_folder(repository: str, kind: str, parts: Sequence[str] | None = None) -> Path | None:
    """The folder with the files of a repository that `semrsm data fetch` fetched, at the commit that it noted.

    Args:
        repository: Id on the hub.
        kind: `dataset` or `model`.
        parts: The files that are needed have one of these in their name; None for those that were asked for.

    Returns:
        The folder; None where nothing was fetched so, or a file that is needed is missing.
    """
    record = read_record(repository, kind)
    if record is None:
        return None
    needed = record.chosen if parts is None else [name for name in record.files if any(part in name for part in parts)]
    there = {*record.chosen} - {*record.missing()}
    return record.snapshot if needed and there.issuperset(needed) else None


def page_of(repository: str, kind: str) -> str:
    """The page of a repository on the hub."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repository}"
