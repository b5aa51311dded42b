"""Centring and pooling of representations that need not fit the memory."""

from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK_BYTES", "Centered", "Centering", "Pooled", "Representations", "compute_center"]

CHUNK_BYTES = 64 * 2**20  # what is read at a time


class Representations(Protocol):
    """Anything of shape [n, s, c] that can be sliced along the images: numpy, memmap, Zarr, `Centered`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, s, c]."""
        ...

    @property
    def dtype(self) -> Any:
        """The element type."""
        ...

    def __getitem__(self, index: slice) -> Any:
        """The images in a slice, as something that `np.asarray` turns to [., s, c]."""
        ...


class Centering(StrEnum):
    """What is subtracted from the representations."""

    sample = "sample"  # the mean over the images, one per position and channel (the paper's)
    channel = "channel"  # the mean over images and positions, one per channel
    none = "none"


def compute_center(x: Representations, how: Centering | str) -> NDArray[Any] | None:
    """The mean of x [n, s, c] that `how` asks for: [s, c] per sample, [1, c] per channel, or None; read in chunks.

    It is float32, or float64 where x is: there it may have digits that float32 does not, and that x shares.
    """
    centering = Centering(how)
    if centering is Centering.none:
        return None
    n, s, c = x.shape
    if n == 0:
        raise ValueError(f"cannot take the mean of no images, got shape {tuple(x.shape)}")
    dtype = np.result_type(x.dtype, np.float32)
    is_wide = dtype != np.float32
    # less the first image the sum rounds less, so that the mean of equal images is exact
    first = np.asarray(x[0:1])[0].astype(dtype) if is_wide else np.zeros((s, c))
    total = np.zeros((s, c))
    step = max(1, CHUNK_BYTES // (8 * s * c))
    with np.errstate(invalid="ignore"):  # infinity is named later
        for start in range(0, n, step):
            part = np.asarray(x[start : start + step])
            total += (part - first if is_wide else part).sum(axis=0, dtype=np.float64)
    if centering is Centering.channel:
        return (total.sum(axis=0, keepdims=True) / (n * s) + first.mean(axis=0, keepdims=True)).astype(dtype)
    return np.asarray(total / n + first, dtype)


class _View:
    """Representations x [n, s, c] that are changed slice by slice when they are read."""

    def __init__(self, x: Representations) -> None:
        self.x = x

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, s, c]."""
        return tuple(self.x.shape)

    @property
    def dtype(self) -> Any:
        """float32, or float64 where x is."""
        return np.result_type(self.x.dtype, np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def _read(self, index: slice) -> NDArray[Any]:
        return np.asarray(self.x[index]).astype(self.dtype, copy=False)


class Centered(_View):
    """x [n, s, c] less a mean, subtracted slice by slice when it is read."""

    def __init__(self, x: Representations, mean: NDArray[Any] | None) -> None:
        super().__init__(x)
        self.mean = mean

    def __getitem__(self, index: slice) -> NDArray[Any]:
        part = self._read(index)
        return part if self.mean is None else part - self.mean.astype(self.dtype, copy=False)


class Pooled(_View):
    """The mean concept vector of every image of x [n, s, c] as its only position, averaged slice by slice when read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, 1, c]."""
        n, _, c = self.x.shape
        return n, 1, c

    def __getitem__(self, index: slice) -> NDArray[Any]:
        n, s, c = self.x.shape
        start, stop, _ = index.indices(n)
        step = max(1, CHUNK_BYTES // (8 * s * c))
        vectors = np.empty((stop - start, 1, c), self.dtype)
        for at in range(start, stop, step):
            part = self._read(slice(at, min(at + step, stop)))
            part.mean(axis=1, keepdims=True, out=vectors[at - start : at - start + len(part)])
        return vectors
