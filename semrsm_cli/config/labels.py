"""What a network is called where its settings do not say."""

import json
from contextlib import suppress
from pathlib import Path

from semrsm_cli.own_code import own_label

__all__ = ["network_label"]


def network_label(name: str) -> str:
    """A network of `semrsm train` by what its description says, a file or folder by its own name, others by theirs.

    A path would tell where a network lies, not what it is: moved, it would be another row of a table.
    """
    path = Path(name).expanduser()
    for description in (path / "checkpoint.json", path.with_suffix(".json")):
        with suppress(OSError, ValueError, TypeError, KeyError):  # what is wrong with it is said when it is loaded
            return str(json.loads(description.read_text(encoding="utf-8"))["label"])
    return path.resolve().name if name.startswith((".", "/", "~")) or path.is_dir() else own_label(name)
