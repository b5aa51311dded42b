"""Locks that keep runs from computing the same part of the store twice: between processes, containers and hosts.

A lock is a file that its holder touches every few seconds, since some network file systems ignore the locks of the
operating system. One whose holder has died on this host is free at once, and one that nobody touches any more is free
soon. A holder that was suspended, and another that took its lock meanwhile, do no harm: what keeps the store whole is
that everything in it appears whole (see `arrays`), a lock only saves work.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from semrsm_cli.store.keys import cache_folder

__all__ = ["locked", "try_locked"]

_HEARTBEAT_S = 3.0
_LEASE_S = 15.0  # without a sign of life
_LOG = logging.getLogger(__name__)


@contextmanager
def locked(key: str, root: Path | None = None) -> Iterator[None]:
    """Keep other runs from filling the same part of the store; a store that cannot be written needs no lock."""
    try:
        lease = _lease(key, root)
        _acquire(lease)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # the store was removed
            lease.release()


@contextmanager
def try_locked(key: str, root: Path | None = None) -> Iterator[bool]:
    """Hold a lock unless another run holds it; yields whether it is held here."""
    lease = _lease(key, root)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lease.release()


def _lease(key: str, root: Path | None) -> SoftFileLease:
    folder = (root or cache_folder()) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return SoftFileLease(folder / f"{key}.lease", lease_duration=_LEASE_S, heartbeat_interval=_HEARTBEAT_S)


def _acquire(lease: SoftFileLease) -> None:
    """Wait for a lock; one that nobody touches is broken also where the file system cannot exchange two names."""
    seen: list[tuple[int, int]] = []
    while True:
        try:
            lease.acquire(timeout=_HEARTBEAT_S if not seen else 2 * _LEASE_S)
            return
        except Timeout:
            pass
        with suppress(FileNotFoundError):
            status = Path(lease.lock_file).stat()
            if not seen:
                owner = lease.owner
                holder = f"process {owner.pid} on {owner.hostname}" if owner else "another run"
                _LOG.warning("waits for %s, which computes the same; what it finishes is not computed again", holder)
            elif seen[-1] == (status.st_ino, status.st_mtime_ns):
                lease.force_break()
            seen.append((status.st_ino, status.st_mtime_ns))
