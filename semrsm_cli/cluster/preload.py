"""Loaded by workers on this machine: Ctrl-C on the terminal is for the command, which ends them."""

import signal
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Called by Dask when a worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
