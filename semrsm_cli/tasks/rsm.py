"""`semrsm rsm`: the RSM of a model's layers, or of the user's own arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.config import MatchingConfig, RsmConfig, RuntimeConfig
from semrsm_cli.data.arrays import content_of, read_array
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import duration, say, size, tracked
from semrsm_cli.rsm import Centered, Forecast, Gram, Invariance, Representations, forecast, gram, kernel, mean
from semrsm_cli.store import TileFolder, digest
from semrsm_cli.tasks.extract import draw, load_network, note_images, note_network, open_images, represent

__all__ = ["foretell", "gram_in_store", "matching_name", "matching_options", "rsm"]

WORK_TO_FORETELL = 1e8  # pairs of positions: below, the forecast would take longer than the work
SECONDS_TO_FORETELL = 5


@dataclass(frozen=True)
class Source:
    """Representations to compare: `x` with itself, or with `y`; `key` tells their content apart from any other."""

    name: str
    x: Representations
    y: Representations | None
    key: str
    grid: tuple[int, int] | None


def rsm(config: RsmConfig, folder: RunFolder) -> pd.DataFrame:
    """Write one RSM per layer, or one of the given files; one row each."""
    sources = given(config) if config.x is not None else of_model(config, folder)
    rows = []
    for source in sources:
        with folder.timed(f"match {source.name}"):
            inner = source_gram(source, config)
            values = kernel(inner, config.kernel.name, sigma=config.kernel.sigma, sigma_tile=config.kernel.sigma_tile)
        folder.array(source.name, values)
        rows.append(
            {
                "array": f"arrays/{source.name}.npy",
                "n": values.shape[0],
                "m": values.shape[1],
                "positions": source.x.shape[1],
                "channels": source.x.shape[2],
                "kernel": str(config.kernel.name),
                "invariance": str(config.invariance),
                "matching": matching_name(config.invariance, config.matching),
                "certified_gap": certified_gap(inner),
            }
        )
    table = pd.DataFrame(rows)
    folder.table("rsm", table)
    folder.note(centering=str(config.centering), sigma=config.kernel.sigma or "median", seed=config.seed)
    return table


def of_model(config: RsmConfig, folder: RunFolder) -> list[Source]:
    """The stored representations of the model's layers, extracted where they are missing."""
    images = draw(open_images(config.dataset), config.n_images, config.seed)
    network = load_network(config.model, config.runtime)
    note_images(folder, images)
    note_network(folder, config.model, network)
    with folder.timed("extract"):
        layers = represent(network, images, config.model, config.runtime).layers
    return [Source(layer, stored, None, stored.key, stored.grid) for layer, stored in layers.items()]


def given(config: RsmConfig) -> list[Source]:
    """The representations in the user's files."""
    x = read_array(str(config.x))
    y = None if config.y is None else read_array(config.y)
    if y is not None and x.shape[1:] != y.shape[1:]:
        raise SemrsmError(
            f"x and y must have the same positions and channels, got {list(x.shape[1:])} in {config.x} "
            f"and {list(y.shape[1:])} in {config.y}"
        )
    key = digest([content_of(x), None if y is None else content_of(y)])
    names = [Path(str(path).split("#")[0]).stem for path in (config.x, config.y) if path is not None]
    return [Source("_".join(names), x, y, key, config.grid)]


def source_gram(source: Source, config: RsmConfig) -> Gram:
    """Matched inner products of one source; an error of the arrays names the source."""
    if config.invariance is Invariance.translation and source.grid is None:
        raise ConfigError(
            f"invariance=translation needs the grid of {source.name}'s positions, which only CNN maps have; "
            "give grid=[height,width] with x=, or choose invariance=permutation"
        )
    center = mean(source.x, config.centering)
    x, y = Centered(source.x, center), None if source.y is None else Centered(source.y, center)
    settings = {"representation": source.key, "centering": str(config.centering)}
    try:
        return gram_in_store(
            x, y, settings, config.invariance, config.matching, config.runtime, grid=source.grid, name=source.name
        )
    except ValueError as error:
        raise SemrsmError(f"{source.name}: {error}") from error


def gram_in_store(
    x: Representations,
    y: Representations | None,
    settings: dict[str, Any],
    invariance: Invariance,
    matching: MatchingConfig,
    runtime: RuntimeConfig,
    *,
    grid: tuple[int, int] | None = None,
    pairs: np.ndarray | None = None,
    name: str,
) -> Gram:
    """Matched inner products by tiles that are kept in the store, so that a run goes on where another stopped."""
    options = matching_options(matching)
    key = settings | options | {"invariance": str(invariance), "memory_gib": runtime.memory_gib}
    tiles = TileFolder(key if pairs is None else key | {"pairs": digest(np.packbits(pairs).tolist())})
    options |= {
        "invariance": invariance,
        "grid": grid,
        "workers": runtime.workers,
        "memory_gib": runtime.memory_gib,
    }
    n, m = x.shape[0], x.shape[0] if y is None else y.shape[0]
    n_pairs = n * (n + 1) // 2 if y is None else n * m
    share = 1.0 if pairs is None else float(pairs.mean())
    step = f"{invariance} {name}"
    if share * n_pairs * x.shape[1] ** 2 > WORK_TO_FORETELL:
        cost = forecast(x, y, **options)
        foretell(step, cost, share, held_bytes=cost.disk_bytes)
    with tracked(step, n_pairs) as advance:
        return gram(x, y, **options, pairs=pairs, tiles=tiles, progress=advance)


def foretell(step: str, cost: Forecast, share: float = 1.0, *, held_bytes: int = 0) -> None:
    """Say what the inner products of a share of all pairs will cost, unless they are a matter of seconds.

    Args:
        step: What is told about.
        cost: The cost of all pairs.
        share: Share of them that is computed.
        held_bytes: Bytes of the result that stay in memory.
    """
    if share * cost.seconds > SECONDS_TO_FORETELL:
        say(
            f"{step}: {share * cost.pairs:,.0f} pairs, about {duration(share * cost.seconds)}, "
            f"{size(cost.memory_bytes + held_bytes)} of memory, {size(cost.disk_bytes)} in the store; "
            "what it holds already is not computed again"
        )


def matching_options(matching: MatchingConfig) -> dict[str, Any]:
    """The keyword arguments of `gram` that say how to match."""
    return {"matching": matching.method, "tolerance": matching.tolerance, "batch": matching.batch, "k": matching.k}


def matching_name(invariance: Invariance, matching: MatchingConfig) -> str:
    """The matching's name for a table; nothing where nothing is matched."""
    return str(matching.method) if invariance is Invariance.permutation else ""


def certified_gap(inner: Gram) -> float:
    """The largest gap between a pair's bound and its value, relative to the value; to their mean size if that is more.

    Values of unrelated images lie near zero, where a relative gap says nothing.
    """
    sizes = np.abs(inner.inner)
    scale = np.maximum(sizes, sizes.mean())
    return float(((inner.bound - inner.inner) / np.where(scale > 0, scale, 1)).max())
