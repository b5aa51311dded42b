"""Matched inner products of what a source holds: estimated, cut into tiles, and kept in the store."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from semrsm_cli import cluster
from semrsm_cli.config import RuntimeConfig
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.rearrangements import Rearrangement, require_places
from semrsm_cli.pipeline.sources import Layer, read_rows
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import duration, log, size, tracked
from semrsm_cli.rsm import (
    Centered,
    Centering,
    Gram,
    Invariance,
    Matcher,
    Representations,
    compute_center,
    estimate_cost,
    gram,
)
from semrsm_cli.rsm.listed import n_listed
from semrsm_cli.rsm.locality import resolve_unit
from semrsm_cli.rsm.plan import squared_norms
from semrsm_cli.stages import versions_of
from semrsm_cli.store import TileFolder, digest, locked

__all__ = ["Comparison", "gram_in_store", "matching_name"]

_WORK_TO_ESTIMATE = 1e8  # pairs of positions: below, the estimate would take longer than the work
_SECONDS_TO_LOG = 5


@dataclass(frozen=True, eq=False)
class Comparison(Layer):
    """Centred images `x`, compared with themselves or with `y`; `key` stands for all that their values depend on.

    `unit_of` tells what the cost of displacement and the floor are measured in: one number for all parts of a
    comparison. `places_y` is the grid of `y`.
    """

    y: Representations | None = None
    unit_of: "MeanSquare | None" = None
    places_y: tuple[int, int] | None = None

    @classmethod
    def within(cls, layer: Layer, centering: Centering, *, name: str | None = None) -> Self:
        """All images of a layer, less their mean."""
        name = name or layer.name
        x = Centered(layer.x, _center(layer, centering, name))
        key = digest({"representation": layer.key, "centering": str(centering)})
        return cls(name, x, key, layer.grid, layer.patches, unit_of=MeanSquare(x))

    @classmethod
    def between(cls, x: Layer, y: Layer, centering: Centering, *, center_of: Layer, name: str) -> Self:
        """The images of two layers, less the mean over one of them, or over each where their positions differ."""
        center = center_x = _center(center_of, centering, name)
        if centering is Centering.sample and x.x.shape[1] != y.x.shape[1]:
            center_x, center = (_center(side, centering, name) for side in (x, y))
        key = digest({"x": x.key, "y": y.key, "center": center_of.key, "centering": str(centering)})
        other = Centered(y.x, center)
        unit_of = MeanSquare(other)
        return cls(name, Centered(x.x, center_x), key, x.grid, x.patches, y=other, unit_of=unit_of, places_y=y.places)

    @property
    def n_pairs(self) -> int:
        """Pairs of images; of x with itself each counts once, and each image with itself."""
        n = self.x.shape[0]
        return n * (n + 1) // 2 if self.y is None else n * int(self.y.shape[0])

    def part(self, rows: NDArray[np.intp]) -> Self:
        """Some of the images of `x`, in the order of `rows` and in memory, compared with themselves."""
        if np.array_equal(rows, np.arange(self.x.shape[0])):
            return self
        return replace(self, x=read_rows(self.x, rows), y=None, key=digest([self.key, rows.tolist()]))


class MeanSquare:
    """The mean squared norm of the concept vectors of images [n, s, c], which are read when it is first asked for."""

    def __init__(self, x: Representations) -> None:
        self.x = x

    @cached_property
    def value(self) -> float:
        """Of all images, in squared units of the features; 1 where all are 0, and nothing is worth a displacement."""
        return resolve_unit(None, squared_norms(self.x, "x"), self.x.shape[1]) or 1.0


def _center(layer: Layer, centering: Centering, name: str) -> np.ndarray | None:
    """The mean over a layer's images; one that is not finite, and would make all so, is named."""
    center = compute_center(layer.x, centering)
    if center is not None and not np.isfinite(center).all():
        try:
            squared_norms(layer.x, layer.name)
        except ValueError as error:
            raise SemrsmError(f"{name}: {error}") from error
    return center


def gram_in_store(
    compared: Comparison,
    invariance: Invariance,
    matcher: Matcher,
    runtime: RuntimeConfig,
    folder: RunFolder,
    *,
    locality: float = 0.0,
    pairs: np.ndarray | None = None,
    in_memory: bool = True,
    advance: Callable[[int], None] | None = None,
) -> Gram:
    """Matched inner products by tiles that are kept in the store, so that a run goes on where another stopped.

    Args:
        compared: The images.
        invariance: Which rearrangements of positions are allowed.
        matcher: How positions are matched.
        runtime: Threads and memory.
        folder: Where a forecast is noted.
        locality: What it costs to move a position, for `permutation`.
        pairs: For each image of x those of y to compute [n, k], as `gram` takes them; None: all.
        in_memory: Whether the result is held in memory, or read from the store by rows.
        advance: Called with the pairs just finished, where this is a part of a step that has a bar and a forecast.

    Raises:
        ConfigError: `translation` or locality was asked for, but the positions have no grid.
        SemrsmError: The images are empty, not finite, or do not fit together.
    """
    if invariance is Invariance.translation and compared.grid is None:
        raise ConfigError(
            f"translation needs the grid of {compared.name}'s positions, which only CNN maps have; give "
            "grid=[height,width] with x=, or leave translation out"
        )
    options: dict[str, Any] = {
        "invariance": invariance,
        "matcher": matcher,
        "grid": require_places(compared) if locality else compared.grid,
        "grid_y": compared.places_y if locality else None,
        "locality": locality,
        "threads": runtime.threads,
        "memory_gib": runtime.memory_gib,
    }
    step = f"{Rearrangement(invariance, locality)} {compared.name}"
    tiles = _tiles(compared, invariance, matcher, runtime, pairs, locality)
    try:
        has_unit = locality or (invariance is Invariance.permutation and matcher.floor is not None)
        if has_unit and compared.unit_of is not None:
            options["unit"] = compared.unit_of.value
        session = cluster.current()
        bar: AbstractContextManager[Callable[[int], None] | None] = nullcontext(advance)
        if advance is None:
            _log_estimate(step, compared, options, folder, pairs=pairs, in_memory=in_memory)
            n_pairs = compared.n_pairs if pairs is None else n_listed(pairs)
            bar = tracked(step, n_pairs, status=None if session is None else session.status)
        with locked(tiles.key), bar as progress:
            return gram(
                compared.x,
                compared.y,
                **options,
                pairs=pairs,
                tiles=tiles,
                in_memory=in_memory,
                progress=progress,
                engine=None if session is None else cluster.tile_engine(session, tiles),
            )
    except ValueError as error:
        raise SemrsmError(f"{compared.name}: {error}") from error


def _tiles(
    compared: Comparison,
    invariance: Invariance,
    matcher: Matcher,
    runtime: RuntimeConfig,
    pairs: np.ndarray | None,
    locality: float,
) -> TileFolder:
    """Where the store keeps the tiles of these images, matched in this way."""
    key: dict[str, Any] = {
        "compared": compared.key,
        "invariance": str(invariance),
        "matcher": _settings_of(matcher) if invariance is Invariance.permutation else None,
        "grid": list(compared.grid or ()) if invariance is Invariance.translation else None,
        "memory_gib": runtime.memory_gib,
        "stages": versions_of("matching"),
    }
    if locality:
        # what it is measured in follows from the images, whose key is there already
        key |= {"locality": locality, "grid": [compared.places, compared.places_y]}
    about = {"invariance": str(Rearrangement(invariance, locality)), "compared": compared.name}
    return TileFolder(key if pairs is None else key | {"pairs": _hash_lists(pairs)}, about=about)


def _hash_lists(pairs: np.ndarray) -> str:
    """Hash of lists of pairs, whatever the order within a list."""
    lists = np.sort(pairs, axis=1).astype("<i8")
    return digest([*pairs.shape, hashlib.blake2b(lists.tobytes(), digest_size=16).hexdigest()])


def _settings_of(matcher: Matcher) -> dict[str, Any]:
    """What tells a matcher apart; a setting that is left out does not, so that tiles from before it was there stay."""
    return {name: value for name, value in asdict(matcher).items() if value is not None}


def matching_name(invariance: Invariance, matcher: Matcher) -> str:
    """The matching's name for a table; nothing where nothing is matched."""
    return str(matcher.method) if invariance is Invariance.permutation else ""


def _log_estimate(
    step: str,
    compared: Comparison,
    options: dict[str, Any],
    folder: RunFolder,
    *,
    pairs: np.ndarray | None,
    in_memory: bool,
) -> None:
    """Note in run.json what long work will cost, and say it unless that is a matter of seconds."""
    n_pairs = compared.n_pairs if pairs is None else n_listed(pairs)
    if n_pairs * compared.x.shape[1] ** 2 <= _WORK_TO_ESTIMATE:
        return
    session = cluster.current()
    if session is not None:
        options = options | {"threads": 1}
    cost = estimate_cost(compared.x, compared.y, **options, pairs=pairs)
    seconds = cost.seconds
    wall = seconds if session is None else seconds / session.cores
    folder.note(forecast_seconds=folder.facts.get("forecast_seconds", {}) | {step: round(wall, 3)})
    if seconds > _SECONDS_TO_LOG:
        parts = [f"{cost.pairs:,} pairs"]
        if session is None:
            memory = cost.memory_bytes + (cost.disk_bytes + cost.kernel_bytes if in_memory else 0)
            parts += [f"about {duration(seconds)}", f"{size(memory)} of memory"]
        else:
            parts += [
                f"about {seconds / 3600:.2g} core-hours",
                f"{duration(wall)} on {session.cores} cores",
            ]
            parts += [f"{size(cost.read_bytes)} read by workers"]
        parts += [f"{size(cost.disk_bytes)} in the store"]
        log(f"{step}: {', '.join(parts)}; what it holds already is not computed again")
