"""Square matrices that need not fit the memory, for the time of one process."""

import tempfile
import weakref
from threading import Lock
from typing import Any

import humanize
import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.store.keys import cache_folder

__all__ = ["PairsOnDisk"]


class PairsOnDisk:
    """A matrix [n, n] in a file on the store's disk that has no name and is gone with the process.

    Only its upper triangle is filled, which is all that the measures of agreement read: `write` fills rows from a
    column on; slices of rows are read back, and hold zeros where nothing was written.
    """

    def __init__(self, n: int, dtype: Any = np.float32) -> None:
        self.shape = (n, n)
        self.dtype = np.dtype(dtype)
        self._lock = Lock()
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, it lives as long as the matrix
        weakref.finalize(self, self._file.close)

    def write(self, start: int, values: np.ndarray) -> None:
        """Fill the rows from `start` on, from column `start` on: `values` is [rows, n - start].

        Raises:
            SemrsmError: The disk is full.
        """
        n = self.shape[0]
        values = np.ascontiguousarray(values, dtype=self.dtype)
        try:
            with self._lock:
                for row, of_row in enumerate(values, start):
                    self._file.seek((row * n + start) * self.dtype.itemsize)
                    self._file.write(of_row.data)
                self._file.flush()
        except OSError as error:
            needed = humanize.naturalsize(n * n * self.dtype.itemsize / 2, binary=True)
            raise SemrsmError(
                f"cannot keep {needed} of pairs in {cache_folder()}: {error.strerror}; "
                "set SEMRSM_CACHE to a disk with more room"
            ) from error

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        block = np.zeros((stop - start, self.shape[1]), self.dtype)  # the file ends with the last row written
        with self._lock:
            self._file.seek(start * self.shape[1] * self.dtype.itemsize)
            self._file.readinto(block.reshape(-1).view(np.uint8).data)
        return block
