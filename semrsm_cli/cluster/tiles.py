"""Tiles of an RSM on a cluster: workers read the images from the store, and write finished tiles there."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from semrsm_cli.cluster.cores import Cores, StopSign
from semrsm_cli.cluster.on_disk import put_on_disk
from semrsm_cli.cluster.session import Session
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm import Engine, Tile, TileWork, available_cores
from semrsm_cli.rsm.plan import MemoryNeed
from semrsm_cli.store import TileFolder, note_again, noted_checksums

__all__ = ["MAX_UNITS", "tile_engine"]

MAX_UNITS = 100_000
_FILE_SYSTEM_LAG_S = 90.0  # until what one host wrote is seen by another
_LOST_LINE_S = 5.0  # after which a checksum that is not listed is listed again
_SHARE_OF_MEMORY = 0.8
_Unit = tuple[tuple[int, int, int, int], ...]
"""Row, column, height and width of each tile."""


@dataclass(frozen=True, eq=False)
class _SharedWork:
    """What all units have in common.

    Attributes:
        work: What is computed.
        tiles: Where it is kept.
        tile_size: Images on a side of a tile.
        memory: Bytes that a worker has; None: what its machine has.
        stop_sign: The file that is there as long as the run goes on.
    """

    work: TileWork
    tiles: TileFolder
    tile_size: int
    memory: int | None
    stop_sign: Path

    def warm_up(self) -> None:
        """Compile what computes, on a pair of images of ones."""
        sides = (self.work.x, self.work.x if self.work.y is None else self.work.y)
        left, right = (np.ones((1, *side.shape[1:]), np.float32) for side in sides)
        self.work.pair_matcher.products(left, right, np.ones((1, 1), bool))

    def compute(self, unit: _Unit, threads: int) -> list[tuple[str, ...]]:
        """Compute the tiles of a unit that the store lacks; gives the checksums of all."""
        tiles = [Tile(row, col, (height, width), self.work.y is None) for row, col, height, width in unit]
        missing = [tile for tile in tiles if self.tiles.load(tile) is None]
        cores = _cores(threads)
        work = _UnitWork(**vars(self.work), cores=cores, unit=cores.new_unit(), stop_sign=StopSign(self.stop_sign))
        for tile, inner, bound in work.compute(missing, self._threads(threads)):
            self.tiles.save(tile, inner, bound)
        return [noted_checksums(self.tiles, tile) for tile in tiles]

    def _threads(self, cores: int) -> int:
        """As many of a worker's threads as have room."""
        s, c = self.work.x.shape[1:]
        need = MemoryNeed.of(self.work.pair_matcher, self.tile_size, self.work.piece_size, s, c)
        share = min(1.0, cores / available_cores())
        room = self.memory or psutil.virtual_memory().available * share
        return need.threads_within(room * _SHARE_OF_MEMORY, cores)


@dataclass(frozen=True, eq=False, kw_only=True)
class _UnitWork(TileWork):
    """The work of one unit, which shares the cores of its worker with the next one."""

    cores: Cores
    unit: int
    stop_sign: StopSign

    def products(
        self, mask: NDArray[np.bool_], left: NDArray[np.float32], right: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As those of `TileWork`, when a core is free."""
        self.stop_sign.check()
        with self.cores.hold(self.unit):
            return super().products(mask, left, right)


@lru_cache(1)
def _cores(n: int) -> Cores:
    """The cores of this process."""
    return Cores(n)


def tile_engine(session: Session, tiles: TileFolder) -> Engine:
    """What computes tiles on a cluster, for `gram` with the same `tiles`."""

    def compute(work: TileWork, missing: Sequence[Tile]) -> Iterator[Tile]:
        if not missing:
            return
        folder = session.scratch()
        x = put_on_disk(work.x, folder / "x")
        y = None if work.y is None else put_on_disk(work.y, folder / "y")
        work = TileWork(x, y, work.pair_matcher, work.piece_size, work.pairs)
        shared = _SharedWork(work, tiles, max(*missing[0].shape, work.piece_size), session.memory, session.stop_sign)
        of_unit = -(-len(missing) // MAX_UNITS)
        groups = [missing[i : i + of_unit] for i in range(0, len(missing), of_unit)]
        jobs = {tuple((tile.row, tile.col, *tile.shape) for tile in group): group for group in groups}
        try:
            for unit, checksums in session.map(_compute_unit, shared, list(jobs)):
                for tile, noted in zip(jobs[unit], checksums, strict=True):
                    _await(tiles, tile, noted)
                    yield tile
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return compute


def _compute_unit(shared: _SharedWork, unit: _Unit, threads: int) -> list[tuple[str, ...]]:
    return shared.compute(unit, threads)


def _await(tiles: TileFolder, tile: Tile, checksums: tuple[str, ...]) -> None:
    """Wait until a tile that another host wrote is seen here."""
    deadline = time.monotonic() + _FILE_SYSTEM_LAG_S
    while noted_checksums(tiles, tile) != checksums or tiles.load(tile) is None:
        if time.monotonic() > deadline:
            raise SemrsmError(
                f"a worker has written a tile to {tiles.path}, which this machine does not see there; the store must "
                "lie on a file system that all share"
            )
        if time.monotonic() > deadline - _FILE_SYSTEM_LAG_S + _LOST_LINE_S:
            note_again(tiles, tile, checksums)
        time.sleep(0.05)
