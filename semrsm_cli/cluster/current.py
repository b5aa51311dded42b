"""The cluster that the task at work uses, if it uses one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from semrsm_cli.cluster.settings import ClusterConfig, Launcher

if TYPE_CHECKING:
    from semrsm_cli.cluster.session import Session

__all__ = ["current", "engaged"]

_current: "ContextVar[Session | None]" = ContextVar("cluster", default=None)


def current() -> "Session | None":
    """The cluster to compute on; None: here."""
    return _current.get()


@contextmanager
def engaged(settings: ClusterConfig | None) -> "Iterator[Session | None]":
    """Compute on a cluster, which is left at the end, whatever happens; `local` or None: here.

    Raises:
        ConfigError: What the cluster needs is not installed.
    """
    if settings is None or settings.name == Launcher.local:
        yield None
        return
    from semrsm_cli.cluster.session import Session  # brings Zarr and the store, of no use to a run on one machine

    session = Session(settings)
    token = _current.set(session)
    try:
        yield session
    finally:
        _current.reset(token)
        session.close()
