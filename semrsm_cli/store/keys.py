"""Where the store lies, and the keys that its parts lie under."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["FORMAT", "LAST_USED", "UNFINISHED", "cache_folder", "digest", "note_use"]

UNFINISHED = re.compile(r"\.[0-9a-f]{32}.*")
"""Names of what is being written; a killed run leaves them behind."""

LAST_USED = "last_used"
"""An empty file in the folder of an entry, touched when a run uses it."""

FORMAT = 2
"""Of what the store holds, in every key: raised when files of an older one are not to be read."""


def cache_folder() -> Path:
    """The store: $SEMRSM_CACHE, else the platform's cache folder."""
    chosen = os.environ.get("SEMRSM_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("semrsm"))


def digest(settings: Mapping[str, Any] | Sequence[Any]) -> str:
    """Hash of settings: 32 hexadecimal digits, the same for the same values in any order of the keys."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def note_use(folder: Path) -> None:
    """Note that an entry of the store is used, for `semrsm store clear`; one that is read-only is left as it is."""
    with suppress(OSError):
        (folder / LAST_USED).touch()
