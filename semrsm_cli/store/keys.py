"""Where the store lies, and the keys that its parts lie under."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["FORMAT", "cache_folder", "digest"]

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
