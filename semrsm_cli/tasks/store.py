"""`semrsm store`: what the store holds, listed, checked or cleared."""

import time

import humanize
import pandas as pd

from semrsm_cli.config import StoreConfig
from semrsm_cli.config.store import Action
from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log
from semrsm_cli.store import Entry, cache_folder, damaged_parts, list_entries, remove

__all__ = ["store"]

_KEY_DIGITS = 8
_WIDTH = 80  # of a line
_OTHER_COLUMNS, _REMOVED = 44, 11  # what they take of it


def store(config: StoreConfig, folder: RunFolder) -> pd.DataFrame:
    """List the entries of the store that the settings choose, check them, or clear them; one row each."""
    folder.discard()
    entries = [entry for entry in list_entries() if _is_chosen(entry, config)]
    size = humanize.naturalsize(sum(entry.size for entry in entries), binary=True)
    log(f"{cache_folder()}: {len(entries)} entries, {size}")
    if n_earlier := sum(bool(entry.version) for entry in entries):
        log(f"{n_earlier} of them are of other versions, and not read by runs: semrsm store clear earlier=true")
    rows = [_row(entry, _WIDTH - _OTHER_COLUMNS - (config.action is Action.clear) * _REMOVED) for entry in entries]
    if config.action is Action.check:
        _check(entries)
        log("all is as it was written")
    if config.action is Action.clear:
        rows = [row | {"removed": _clear(entry, config)} for entry, row in zip(entries, rows, strict=True)]
    return pd.DataFrame(rows)


def _is_chosen(entry: Entry, config: StoreConfig) -> bool:
    """Whether an entry is one that the settings speak of."""
    return (
        config.kind in (None, entry.kind)
        and (bool(entry.version) or not config.earlier)
        and (config.key is None or entry.key.startswith(config.key))
        and time.time() - entry.used >= config.seconds
    )


def _check(entries: list[Entry]) -> None:
    """Verify all checksums.

    Raises:
        SemrsmError: Something is damaged.
    """
    damages = {entry: n for entry in entries if (n := damaged_parts(entry))}
    if damages:
        named = ", ".join(f"{entry.kind} {entry.key} ({n} parts)" for entry, n in list(damages.items())[:5])
        more = f" and {len(damages) - 5} more" if len(damages) > 5 else ""
        raise SemrsmError(
            f"{len(damages)} of {len(entries)} entries are damaged: {named}{more}; what is damaged is computed anew "
            "when it is needed"
        )


def _clear(entry: Entry, config: StoreConfig) -> str:
    """Remove an entry, unless a run is filling it or nothing shall be removed; what became of it."""
    if config.dry_run:
        return "would be"
    return "yes" if remove(entry) else "no, in use"


def _row(entry: Entry, room: int) -> dict[str, str]:
    """An entry as a line of the table, with so many characters for its content."""
    return {
        "key": entry.key[:_KEY_DIGITS],
        "kind": str(entry.kind),
        "content": _content(entry, room),
        "size": humanize.naturalsize(entry.size, gnu=True),
        "made": _age(entry.made),
        "used": _age(entry.used),
    }


def _content(entry: Entry, room: int) -> str:
    """What an entry is of, and first of which version it is where no run reads it."""
    version = f"{entry.version}: " if entry.version else ""
    return version + _shorten(entry.content, room - len(version))


def _shorten(text: str, room: int) -> str:
    """The end of a text that is too long; it begins with the network, which tells least."""
    return text if len(text) <= room else f"…{text[len(text) - room + 1 :]}"


def _age(moment: float) -> str:
    """How long ago something was, in its largest unit: 3d."""
    seconds = max(0, int(time.time() - moment))
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
