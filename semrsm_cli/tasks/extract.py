"""`semrsm extract`: images through a network into the store."""

import pandas as pd

from semrsm_cli import store
from semrsm_cli.config import ExtractConfig
from semrsm_cli.data.save_layers import save_layers
from semrsm_cli.pipeline.frames import note_share_seen
from semrsm_cli.pipeline.images import note_images, open_images
from semrsm_cli.pipeline.networks import load_network, note_network
from semrsm_cli.pipeline.sources import from_model
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log

__all__ = ["extract"]


def extract(config: ExtractConfig, folder: RunFolder) -> pd.DataFrame:
    """Store the representations of all wanted layers in one pass; one row a layer."""
    images = open_images(config.dataset, config.n_images, config.seed)
    network = load_network(config.model, config.runtime)
    note_images(folder, images)
    note_network(folder, config.model, network)
    note_share_seen(folder, network, images)
    source = from_model(network, images, config.model, config.runtime, folder)
    rows = [
        {
            "model": config.model.label,
            "dataset": images.name,
            "layer": layer.name,
            "images": len(images),
            "positions": layer.x.shape[1],
            "channels": layer.x.shape[2],
            "precision": str(config.runtime.precision),
            "key": layer.key,
        }
        for layer in source.layers
    ]
    table = pd.DataFrame(rows)
    folder.table("representations", table)
    folder.note(store=str(store.cache_folder()))
    if config.save is not None:
        with folder.timed("save"):
            save_layers(
                config.save,
                {layer.name: layer.x for layer in source.layers},
                ids=images.ids,
                grids={layer.name: layer.grid for layer in source.layers},
            )
        folder.note(saved=config.save)
        log(f"layers, ids and grids are in {config.save}; `semrsm rsm x={config.save}` and `semrsm cka` read them")
    return table
