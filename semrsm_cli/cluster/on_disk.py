"""Representations that workers read from the store themselves."""

import time
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm import Centered, Representations
from semrsm_cli.store import Representation, open_array, write_array

__all__ = ["OnDisk", "put_on_disk"]

_CHUNK_BYTES = 16 * 2**20
_FILE_SYSTEM_LAG_S = 90.0  # until what one host wrote is seen by another: NFS remembers sizes for a minute


@dataclass(frozen=True)
class OnDisk:
    """Representations [n, s, c] in a checked array of the store; each process opens it once.

    Unlike the array, it takes no chunk that is not listed for one of zeros.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: slice) -> np.ndarray:
        """The images in a slice."""
        return np.asarray(self._array[index])

    @cached_property
    def _array(self) -> Any:
        deadline = time.monotonic() + _FILE_SYSTEM_LAG_S
        while True:
            array = open_array(Path(self.path))
            if array is not None:
                grid = product(
                    *(range(-(-length // chunk)) for length, chunk in zip(array.shape, array.chunks, strict=True))
                )
                if set(grid) <= set(array.places()):
                    return array
            if time.monotonic() > deadline:
                raise SemrsmError(f"{self.path} is not whole where a worker reads it; run it again")
            time.sleep(1)

    def __getstate__(self) -> dict[str, Any]:
        """What is sent: not what a process opened."""
        return {"path": self.path, "shape": self.shape, "dtype": self.dtype}


def put_on_disk(x: Representations, path: Path) -> Representations:
    """The same representations as workers can read them: where the store lacks them, they are copied to `path`."""
    if isinstance(x, OnDisk):
        return x
    if isinstance(x, Centered):
        return Centered(put_on_disk(x.x, path), x.mean)
    shape = tuple(x.shape)
    if isinstance(x, Representation):
        return OnDisk(str(x.array.path), shape, x.dtype)
    dtype = np.dtype(x.dtype).newbyteorder("=")
    rows = max(1, _CHUNK_BYTES // (dtype.itemsize * int(np.prod(shape[1:]))))
    write_array(path, x, rows=min(rows, shape[0]), dtype=dtype)
    return OnDisk(str(path), shape, dtype)
