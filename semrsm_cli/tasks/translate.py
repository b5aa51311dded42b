"""`semrsm translate`: do RSMs see that two crops show the same thing elsewhere? (Section 4.1, Appendix B)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from semrsm_cli.config import TranslateConfig
from semrsm_cli.data import Images, batches_of_unrelated, crop_pairs
from semrsm_cli.measures.separation import overlapping_pairs, separation, unrelated_pairs
from semrsm_cli.pipeline.grams import Comparison, gram_in_store
from semrsm_cli.pipeline.images import note_images, open_images
from semrsm_cli.pipeline.networks import cut_to_size, load_network, note_network
from semrsm_cli.pipeline.rearrangements import Rearrangement, informative, movement_columns, rearrangements
from semrsm_cli.pipeline.sources import Layer, from_model
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.figures.translate import translation_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log, tracked
from semrsm_cli.rsm import Invariance, kernel

__all__ = ["translate"]

_INVARIANCES = (Invariance.none, Invariance.permutation)
_THUMBNAIL = 96  # pixels of a crop's longer side


@dataclass(frozen=True)
class _LayerRsms:
    """The RSMs of one layer without and with permutation invariance, and in between: for each, [batches, 2n, 2n]."""

    layer: str
    positions: int
    channels: int
    rsms: dict[Rearrangement, np.ndarray]
    movement: dict[Rearrangement, dict[str, float]]

    def of_paper(self) -> dict[str, np.ndarray]:
        """The RSMs of the paper's two methods."""
        return {str(moved.invariance): rsms for moved, rsms in self.rsms.items() if not moved.locality}


def translate(config: TranslateConfig, folder: RunFolder) -> pd.DataFrame:
    """RSMs of upper and lower crops layer by layer, and how well they separate overlapping from unrelated pairs."""
    images = open_images(config.dataset)
    chosen = _until_repeated(
        batches_of_unrelated(images, n_per_batch=config.n_pairs, n_batches=config.n_batches, seed=config.seed)
    )
    if len(chosen) < config.n_batches:
        log(
            f"{images.name} has images for {len(chosen)} batches, not n_batches={config.n_batches}: each image is used "
            "once; n_batches or n_pairs may be smaller"
        )
    crops = crop_pairs(images, chosen, size=config.size, crop=config.crop)
    network = load_network(config.model, config.runtime)
    prepare = cut_to_size(network, config.crop)
    note_images(folder, crops)
    note_network(folder, config.model, network)
    folder.note(seed=config.seed, n_batches=len(chosen))
    source = from_model(network, crops, config.model, config.runtime, folder, prepare=prepare)
    with folder.timed("match"):
        layers = _layer_rsms(source.layers, config, folder)
    similarities = pd.concat([_similarities_of(layer) for layer in layers], ignore_index=True)
    table = _separation_table(layers, similarities, config, images.name)
    _write(folder, layers, similarities, table)
    own, similarities = (rows[~(rows["locality"] > 0)] for rows in (table, similarities))
    shown = [(crops[i], crops[i + config.n_pairs]) for i in range(config.n_pairs)]
    _keep_crops(folder, crops, config.n_pairs)
    rsms = {layer.layer: layer.of_paper() for layer in layers}
    folder.figure("translation", translation_figure(shown, rsms, similarities, own, kernel=str(config.kernel.name)))
    if len(own) < len(table):
        label = "area under the ROC curve between\noverlapping and unrelated crops"
        title = f"{config.model.label}, {config.kernel.name} kernel"
        folder.figure("locality", locality_figure(table, value="auc", label=label, series="layer", title=title))
    return informative(table)


def _until_repeated(batches: list[list[int]]) -> list[list[int]]:
    """The batches up to the first that uses an image again: a repeated pair would count as new evidence."""
    seen: set[int] = set()
    fresh = []
    for batch in batches:
        if seen & set(batch):
            break
        seen |= set(batch)
        fresh.append(batch)
    return fresh


def _layer_rsms(layers: tuple[Layer, ...], config: TranslateConfig, folder: RunFolder) -> list[_LayerRsms]:
    """The RSM of every batch at every layer, without and with permutation invariance."""
    n = 2 * config.n_pairs
    with_rsms = []
    with tracked("match", sum(layer.x.shape[0] // n for layer in layers)) as advance:
        for layer in layers:
            compared = Comparison.within(layer, config.centering)
            rsms: dict[Rearrangement, list[np.ndarray]] = {
                moved: [] for moved in rearrangements(_INVARIANCES, config.locality)
            }
            for start in range(0, layer.x.shape[0], n):
                batch = compared.part(np.arange(start, start + n))
                for moved, of_batches in rsms.items():
                    of_batches.append(_batch_rsm(batch, moved, config, folder))
                advance(1)
            stacked = {moved: np.stack(of_batches) for moved, of_batches in rsms.items()}
            movement = {moved: movement_columns(compared, moved, config.matching) for moved in rsms}
            with_rsms.append(_LayerRsms(layer.name, layer.x.shape[1], layer.x.shape[2], stacked, movement))
    return with_rsms


def _batch_rsm(batch: Comparison, moved: Rearrangement, config: TranslateConfig, folder: RunFolder) -> np.ndarray:
    """The RSM of one batch; the RBF kernel takes its sigma from the batch's own distances."""
    inner = gram_in_store(
        batch,
        moved.invariance,
        config.matching,
        config.runtime,
        folder,
        locality=moved.locality,
        advance=lambda _: None,
    )
    return kernel(inner, config.kernel.name, sigma=config.kernel.sigma, sigma_tile=config.kernel.sigma_tile)


def _similarities_of(layer: _LayerRsms) -> pd.DataFrame:
    """Every pair's similarity: layer, invariance, batch, pair, similarity, locality."""
    n = next(iter(layer.rsms.values())).shape[1] // 2
    frames = []
    for moved, rsms in layer.rsms.items():
        for kind, (rows, columns) in (("overlapping", overlapping_pairs(n)), ("unrelated", unrelated_pairs(n))):
            values = rsms[:, rows, columns]
            frames.append(
                pd.DataFrame(
                    {
                        "layer": layer.layer,
                        "invariance": str(moved.invariance),
                        "batch": np.repeat(np.arange(len(rsms)), len(rows)),
                        "pair": kind,
                        "similarity": values.ravel(),
                        "locality": layer.movement[moved]["locality"],
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _separation_table(
    layers: list[_LayerRsms], similarities: pd.DataFrame, config: TranslateConfig, dataset: str
) -> pd.DataFrame:
    """One row a layer and invariance: both distributions' means, and the area under the ROC curve between them."""
    rows = []
    for layer in layers:
        for moved, movement in layer.movement.items():
            of_layer = similarities.query("layer == @layer.layer and invariance == @moved.invariance.value")
            of_layer = of_layer[of_layer["locality"].fillna(0) == moved.locality]
            overlapping = of_layer.loc[of_layer["pair"] == "overlapping", "similarity"].to_numpy()
            unrelated = of_layer.loc[of_layer["pair"] == "unrelated", "similarity"].to_numpy()
            rows.append(
                {
                    "model": config.model.label,
                    "dataset": dataset,
                    "layer": layer.layer,
                    "positions": layer.positions,
                    "channels": layer.channels,
                    "kernel": str(config.kernel.name),
                    "invariance": str(moved.invariance),
                    "overlapping_mean": overlapping.mean(),
                    "unrelated_mean": unrelated.mean(),
                    "auc": separation(overlapping, unrelated),
                    "n_overlapping": overlapping.size,
                    "n_unrelated": unrelated.size,
                    "centering": str(config.centering),
                    "size": config.size,
                    **movement,
                }
            )
    return pd.DataFrame(rows)


def _keep_crops(folder: RunFolder, crops: Images, n_pairs: int) -> None:
    """Write the crops of the first batch in the order of its RSMs, and crops.csv with the image of each."""
    rows = []
    for number in range(2 * n_pairs):
        crop = crops[number]
        crop.thumbnail((_THUMBNAIL, _THUMBNAIL))
        folder.thumbnail(f"crop_{number + 1:04d}", crop)
        _, part, image = crops.ids[number].split("/", 2)
        rows.append({"image": image, "part": part, "file": f"thumbnails/crop_{number + 1:04d}.jpg"})
    folder.data("crops", pd.DataFrame(rows))


def _write(folder: RunFolder, layers: list[_LayerRsms], similarities: pd.DataFrame, table: pd.DataFrame) -> None:
    """The table, the similarities behind the figure, and the RSMs."""
    folder.table("separation", table)
    folder.data("similarities", similarities)
    for layer in layers:
        for moved, rsms in layer.rsms.items():
            folder.array(f"{layer.layer}_{moved}", rsms)
