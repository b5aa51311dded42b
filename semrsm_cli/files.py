"""Files and folders that appear as a whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["atomic"]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file or a folder beside its place, and move it there when it is complete.

    The temporary path is hidden, lies in the same folder and ends as `path` does, for writers that go by the suffix. A
    file of that name is replaced; a folder is only where it is empty.

    Args:
        path: Where the file or folder shall appear; its parent exists.

    Yields:
        The path to write to. After an error nothing is left there, and `path` is as it was.

    Raises:
        OSError: It cannot be written, or cannot be moved into its place.
    """
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)
        raise
