"""What the store holds: listed, checked, and removed where nobody is using it."""

import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import safe_open

from semrsm_cli.files import LAST_USED, UNFINISHED, is_sealed
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.earlier import earlier_version, format_of
from semrsm_cli.store.hashes import HASHES
from semrsm_cli.store.keys import cache_folder
from semrsm_cli.store.locks import try_locked
from semrsm_cli.store.representations import ARRAY, REPRESENTATIONS
from semrsm_cli.store.tiles import TILES

__all__ = ["TRAINING", "Entry", "Kind", "damaged_parts", "list_entries", "remove"]

TRAINING = "training"
_SCENES = "scenes"
_ABANDONED_S = 3600  # nothing takes that long to be written
_LOG = logging.getLogger(__name__)


class Kind(StrEnum):
    """What an entry is."""

    representations = REPRESENTATIONS
    tiles = TILES
    training = TRAINING  # states of networks in training
    scenes = _SCENES  # made-up images
    hashes = "hashes"  # of files that were read
    unfinished = "unfinished"  # what killed runs had begun to write


@dataclass(frozen=True)
class Entry:
    """One thing in the store.

    Attributes:
        kind: What it is.
        key: Its name within its kind.
        path: Its file or folder.
        content: What it is of, for people.
        size: Bytes.
        made: When it was made, in seconds since 1970.
        used: When a run used it last.
        version: Which version of the program stored it, in words, if no run reads it any more.
    """

    kind: Kind
    key: str
    path: Path
    content: str
    size: int
    made: float
    used: float
    version: str = ""


def list_entries(root: Path | None = None) -> list[Entry]:
    """All that lies in the store, by kind, what was used last first; nothing is verified."""
    root = root or cache_folder()
    places = [
        *((Kind.representations, path) for path in _visible(root / REPRESENTATIONS)),
        *((Kind.tiles, path) for path in _visible(root / TILES)),
        *((Kind.training, path) for path in _visible(root / TRAINING)),
        *((Kind.scenes, path) for path in _visible(root / _SCENES)),
        *((Kind.hashes, path) for path in [root / HASHES] if path.is_file()),
        *((Kind.unfinished, path) for path in _abandoned(root)),
    ]
    entries = [entry for kind, path in places if (entry := _describe(kind, path)) is not None]
    order = list(Kind)
    return sorted(entries, key=lambda entry: (order.index(entry.kind), -entry.used, entry.key))


def damaged_parts(entry: Entry) -> int:
    """How many parts of an entry are not as they were written; each is named in the log."""
    if format_of(entry.path) is not None:  # of one without checksums nothing can be told
        return 0
    match entry.kind:
        case Kind.representations:
            return _damaged_chunks(entry.path / ARRAY)
        case Kind.tiles:
            return sum(_damaged_chunks(path) for path in sorted(entry.path.glob("*/*")) if path.is_dir())
        case Kind.training:
            return sum(_is_damaged_state(path) for path in _visible(entry.path) if path.suffix == ".safetensors")
        case _:
            return 0


def remove(entry: Entry, root: Path | None = None) -> bool:
    """Remove an entry, all at once; False where a run is filling it."""
    with try_locked(entry.key, root) as is_free:
        if not is_free:
            return False
        aside = entry.path.with_name(f".{uuid4().hex}")
        with suppress(FileNotFoundError):  # another process was quicker
            entry.path.rename(aside)
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
        return True


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder and is finished."""
    paths = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in paths if not path.name.startswith(".") and path.name != LAST_USED)


def _abandoned(root: Path) -> Iterator[Path]:
    """What killed runs had begun to write, long ago; what lies within such a folder is not told apart."""
    for place, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = Path(place, name)
            if UNFINISHED.fullmatch(name) and time.time() - _newest(path) > _ABANDONED_S:
                yield path
        folders[:] = [name for name in folders if not UNFINISHED.fullmatch(name)]


def _newest(path: Path) -> float:
    """When something at a place was last written; now where it is gone."""
    try:
        return max(file.stat().st_mtime for file in (path, *path.rglob("*")))
    except OSError:
        return time.time()


def _describe(kind: Kind, path: Path) -> Entry | None:
    """The entry at a place; None where it was removed meanwhile."""
    try:
        states = [file.stat() for file in (path, *path.rglob("*"))]
        used = (path / LAST_USED).stat().st_mtime if (path / LAST_USED).is_file() else max(s.st_mtime for s in states)
    except FileNotFoundError:
        return None
    size = sum(state.st_size for state in states if stat.S_ISREG(state.st_mode))
    describe = _CONTENTS.get(kind)
    content = "" if describe is None else describe(path)
    key, made = path.name.lstrip(".").removesuffix(".txt"), min(state.st_mtime for state in states)
    return Entry(
        kind,
        key,
        path,
        content,
        size,
        made,
        used,
        earlier_version(path) if kind in (Kind.representations, Kind.tiles) else "",
    )


def _content_of_representations(path: Path) -> str:
    metadata = _read_json(path / ARRAY / "zarr.json")
    settings = _read_json(path / "zarr.json")["attributes"]["settings"]
    return _join(settings["network"]["name"], settings["layer"], settings["dataset"], metadata["shape"])


def _content_of_tiles(path: Path) -> str:
    metadata = _read_json(next(path.glob("*/inner/zarr.json")))
    about = metadata["attributes"]
    return _join(about.get("invariance", ""), about.get("compared", ""), metadata["shape"])


def _content_of_training(path: Path) -> str:
    with safe_open(path / "state.safetensors", framework="np") as stored:
        facts = json.loads(stored.metadata()["training"])
    return _join(facts["about"], f"epoch {len(facts['history'])}")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _join(*parts: Any) -> str:
    """Parts of a description on one line; a shape as 6x3x2."""
    texts = ("x".join(map(str, part)) if isinstance(part, list) else str(part) for part in parts)
    return " ".join(", ".join(text for text in texts if text).split())


def _or_nothing(describe: Callable[[Path], str]) -> Callable[[Path], str]:
    """A description, or none of what is damaged or was never finished: that is for `damaged_parts` to say."""

    def describe_or_not(path: Path) -> str:
        with suppress(Exception):
            return describe(path)
        return "not finished, or damaged"

    return describe_or_not


_CONTENTS: dict[Kind, Callable[[Path], str]] = {
    Kind.representations: _or_nothing(_content_of_representations),
    Kind.tiles: _or_nothing(_content_of_tiles),
    Kind.training: _or_nothing(_content_of_training),
}


def _damaged_chunks(path: Path) -> int:
    """Chunks of an array that are not as they were written; 1 where the array is not, none where it never was one."""
    if not (path / "c").is_dir() and not (path / "zarr.json").is_file():
        return 0
    array = CheckedArray.find(path)
    if array is None:
        if not (path / "zarr.json").is_file():
            _LOG.warning("%s is damaged: it lacks its metadata", path)
        return 1
    return sum(array.is_damaged(*place) for place in array.places())


def _is_damaged_state(path: Path) -> bool:
    """Whether a file of a training is not as it was written."""
    if is_sealed(path.read_bytes()):
        return False
    _LOG.warning("%s is damaged; training goes on from the epoch before it, or begins anew", path)
    return True
