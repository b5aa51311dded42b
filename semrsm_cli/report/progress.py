"""Progress of a long step: a bar on a terminal, a line every 20 seconds in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import humanize
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["duration", "log", "size", "tracked"]

_SECONDS_BETWEEN_LINES = 20.0


def log(line: str) -> None:
    """Write a line on standard error, where progress goes."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """A time in words: `40 seconds`, `12 minutes`, `3 hours and 24 minutes`."""
    return humanize.precisedelta(seconds, minimum_unit="seconds" if seconds < 60 else "minutes", format="%.0f")


def size(n_bytes: float) -> str:
    """An amount of memory in words: `12.0 KiB`, `3.4 GiB`."""
    return humanize.naturalsize(n_bytes, binary=True)


@contextmanager
def tracked(
    step: str, total: int, *, done: int = 0, status: Callable[[], str] | None = None
) -> Iterator[Callable[[int], None]]:
    """Show the progress of `step`; the body calls the yielded function with the number of units just done.

    `done` units count as finished before the start, and not towards the speed. `status` says what else is worth a look.
    """
    console = Console(stderr=True)
    with (_show_bar if console.is_terminal else _log_lines)(step, total, done, status or str, console) as advance:
        yield advance


@contextmanager
def _show_bar(
    step: str, total: int, done: int, status: Callable[[], str], console: Console
) -> Iterator[Callable[[int], None]]:
    """A bar with elapsed and remaining time."""
    description = TextColumn("{task.description}")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    also = TextColumn("{task.fields[status]}")
    with Progress(description, BarColumn(), MofNCompleteColumn(), *times, also, console=console) as progress:
        task = progress.add_task(step, total=total, completed=done, status=status())
        yield lambda n: progress.update(task, advance=n, status=status())


@contextmanager
def _log_lines(
    step: str, total: int, done: int, status: Callable[[], str], console: Console
) -> Iterator[Callable[[int], None]]:
    """A line every 20 seconds at most, with the time that is left at the speed so far."""
    start = last = time.monotonic()
    finished = done

    def advance(n: int) -> None:
        nonlocal last, finished
        finished += n
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and finished < total:
            last = now
            left = (now - start) / max(finished - done, 1) * (total - finished)
            log(", ".join(filter(None, (f"{step}: {finished} of {total}", f"{duration(left)} left", status()))))

    yield advance
