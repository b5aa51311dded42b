"""Numbers of heat maps that the page draws itself, so that each cell can be named: CKA of layers, RSMs of images."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.report.page.content import HeatMap, title_of
from semrsm_cli.report.page.pictures import Budget, thumbnail_source
from semrsm_cli.report.runs import Run

__all__ = ["cka_maps", "crop_maps", "density_maps", "rsm_maps"]

_DIGITS = 4
_MOST = 128  # images on a side; of more, every so many
_LEAST_SPAN = 0.05  # of a colour scale, or it would turn rounding into patterns
_CROP_SIDE = 72  # pixels


def cka_maps(run: Run, number: int) -> Iterator[HeatMap]:
    """CKA between all layers: a map for each pair of networks, a choice for each kernel and invariance."""
    rows = run.table("cka")
    for place, ((model_a, model_b), group) in enumerate(rows.groupby(["model_a", "model_b"], sort=False), start=1):
        layers_a = list(dict.fromkeys(group["layer_a"].astype(str)))
        layers_b = list(dict.fromkeys(group["layer_b"].astype(str)))
        choices = []
        for (kernel, *invariances), cells in group.groupby(["kernel", "invariance_a", "invariance_b"], sort=False):
            values = np.full((len(layers_a), len(layers_b)), np.nan)
            rows_of = [layers_a.index(name) for name in cells["layer_a"].astype(str)]
            columns_of = [layers_b.index(name) for name in cells["layer_b"].astype(str)]
            values[rows_of, columns_of] = cells["cka"]
            if (
                layers_a == layers_b and model_a == model_b and invariances[0] == invariances[1]
            ):  # the table may hold one of the two triangles
                values = np.where(np.isnan(values), values.T, values)
            if np.isnan(values).all():
                continue
            sides = " with ".join(dict.fromkeys(title_of(str(name)) for name in invariances))
            choices.append(_choice(f"{title_of(str(kernel))}, {sides}", values))
        if choices:
            who = str(model_a) if model_a == model_b else f"{model_a} and {model_b}"
            yield HeatMap(
                id=f"cka-map-{number}-{place}",
                title=f"CKA between the layers of {who}",
                choices=choices,
                row_names=layers_a,
                column_names=layers_b,
                row_title=f"layer of {model_a}",
                column_title=f"layer of {model_b}",
                value_title="CKA",
                summary=_spread_of(choices, "CKA"),
            )


def density_maps(run: Run, number: int) -> Iterator[HeatMap]:
    """Pairs of images by similarity and divergence: a map for each invariance, a choice for each kernel."""
    try:
        counts = pd.read_csv(run.path / "tables" / "density.csv")
    except (OSError, ValueError):  # foreign tables, and tables without the numbers behind a figure
        return
    for invariance, group in counts.groupby("invariance", sort=False):
        choices = [_density(str(kernel), cells) for kernel, cells in group.groupby("kernel", sort=False)]
        yield HeatMap(
            id=f"density-map-{number}-{invariance}",
            title=f"Pairs of images by similarity and divergence, {title_of(str(invariance))}",
            choices=choices,
            row_names=[],
            column_names=[],
            row_title="divergence",
            column_title="similarity",
            value_title="pairs",
            summary="The more the cloud falls from left to right, the better does similarity foretell the output.",
            is_logarithmic=True,
        )


def _density(kernel: str, cells: pd.DataFrame) -> dict[str, Any]:
    """A kernel's counts; divergence falls from row to row, similarity rises from column to column."""
    columns, rows = np.unique(cells["similarity"]), np.unique(cells["divergence"])[::-1]
    values = np.full((len(rows), len(columns)), np.nan)
    values[np.searchsorted(-rows, -cells["divergence"]), np.searchsorted(columns, cells["similarity"])] = cells["pairs"]
    return {
        "name": title_of(kernel),
        "values": [[None if np.isnan(v) else int(v) for v in row] for row in values],
        "low": 1,
        "high": max(2, int(np.nanmax(values))),
        "row_names": [f"{value:.3g}" for value in rows],
        "column_names": [f"{value:.3g}" for value in columns],
    }


def rsm_maps(run: Run, number: int) -> Iterator[HeatMap]:
    """RSMs of `semrsm rsm`: images by name, or by number; every so many where there are more than can be told apart."""
    images = _names_of_images(run)
    for place, row in enumerate(run.table("rsm").to_dict("records"), start=1):
        try:
            values = np.load(run.path / str(row["array"]), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            continue
        if values.ndim != 2:
            continue
        steps = [max(1, -(-length // _MOST)) for length in values.shape]
        shown = np.asarray(values[:: steps[0], :: steps[1]], float)
        if not np.isfinite(shown).any():
            continue
        names = [
            [images[i] if len(images) == n else f"{i}" for i in range(0, n, k)]
            for n, k in zip(values.shape, steps, strict=True)
        ]
        layer = str(row["array"]).rpartition("/")[2].removesuffix(".npy")
        method = f"{title_of(str(row['kernel']))}, {title_of(str(row['invariance']))}"
        choices = [_choice(method, shown, without_diagonal=run.settings.get("y") is None)]
        of = " x ".join(f"{n:,}" for n in dict.fromkeys(values.shape))
        kept = " x ".join(f"{len(of_side)}" for of_side in (names if values.shape[0] != values.shape[1] else names[:1]))
        yield HeatMap(
            id=f"rsm-map-{number}-{place}",
            title=f"RSM of {', '.join(filter(None, (run.settings.get('model.label'), layer)))}",
            choices=choices,
            row_names=names[0],
            column_names=names[1],
            row_title="image",
            column_title="image",
            value_title="similarity",
            summary=_spread_of(choices, "similarity"),
            note=f"{kept} of {of} images are shown." if max(steps) > 1 else "",
        )


def _names_of_images(run: Run) -> list[str]:
    """What the images of an RSM are called; none of the user's own arrays."""
    try:
        return list(pd.read_csv(run.path / "tables" / "images.csv", dtype=str, keep_default_na=False)["image"])
    except (OSError, ValueError, KeyError):
        return []


def crop_maps(run: Run, number: int, budget: Budget) -> Iterator[HeatMap]:
    """Figure 2's RSMs: upper and lower crops with each other, with the crops of the pair under the pointer."""
    try:
        crops = pd.read_csv(run.path / "tables" / "crops.csv", dtype=str, keep_default_na=False)
    except (OSError, ValueError):  # an older run kept none
        return
    pictures = [thumbnail_source(run.path / file, _CROP_SIDE) or "" for file in crops["file"]]
    if not budget.take("".join(2 * pictures)):
        pictures = []
    names = [f"{image}, {part}" for image, part in zip(crops["image"], crops["part"], strict=True)]
    rows = run.table("separation")
    for invariance in dict.fromkeys(rows["invariance"].astype(str)):
        choices = []
        for layer in dict.fromkeys(rows["layer"].astype(str)):
            try:
                values = np.load(run.path / "arrays" / f"{layer}_{invariance}.npy", allow_pickle=False)
            except (OSError, ValueError):
                continue
            if values.ndim == 3 and values.shape[1:] == (len(crops), len(crops)):
                choices.append(_choice(layer, values[0], without_diagonal=True))
        if choices:
            yield HeatMap(
                id=f"crop-map-{number}-{invariance}",
                title=f"RSM of crops, {title_of(invariance)}, {run.settings.get('model.label', '')}".rstrip(", "),
                choices=choices,
                row_names=names,
                column_names=names,
                row_title="crop",
                column_title="crop",
                value_title="similarity",
                pictures=pictures,
                summary="Upper and lower crops of one photograph lie half the matrix apart; they are alike where the "
                "RSM sees content wherever it stands.",
            )


def _choice(name: str, values: np.ndarray, *, without_diagonal: bool = False) -> dict[str, Any]:
    """A matrix with the ends of its colours, to which the diagonal counts or not; cells without a value are null."""
    finite = np.isfinite(values)
    of_others = finite & ~np.eye(len(values), dtype=bool) if without_diagonal else finite
    counted = values[of_others if of_others.any() else finite]
    low, high = float(counted.min()), float(counted.max())
    lacking = max(0.0, _LEAST_SPAN - (high - low)) / 2
    cells = [[round(float(v), _DIGITS) if np.isfinite(v) else None for v in row] for row in values]
    return {
        "name": name,
        "values": cells,
        "low": round(low - lacking, _DIGITS),
        "high": round(high + lacking, _DIGITS),
    }


def _spread_of(choices: Sequence[dict[str, Any]], what: str) -> str:
    """From where to where values go, in a sentence for each choice."""
    return " ".join(
        f"{choice['name']}: {what} from {min(cells):.2f} to {max(cells):.2f}."
        for choice in choices
        if (cells := [v for row in choice["values"] for v in row if v is not None])
    )
