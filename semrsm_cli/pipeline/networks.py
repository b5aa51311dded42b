"""Load the network that the settings describe, and note it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from PIL import Image

from semrsm_cli import cluster
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.errors import ConfigError
from semrsm_cli.models import Autocast, Network, load
from semrsm_cli.models.autocast import with_autocast
from semrsm_cli.models.folding import with_folded_norms
from semrsm_cli.models.framing import with_framing
from semrsm_cli.models.structure import patch_size
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log

Prepare = Callable[[Image.Image], torch.Tensor]

__all__ = ["Prepare", "cut_to_size", "load_network", "note_network", "require_device"]


def load_network(model: ModelConfig, runtime: RuntimeConfig) -> Network:
    """The network that the settings describe, ready on its device, with the framing and the type that they ask for.

    Where a cluster computes, its workers have the device.

    Raises:
        ConfigError: The device is not available.
        SemrsmError: There is no such network, or its weights cannot be had.
    """
    device = runtime.device if cluster.current() is None else "cpu"
    require_device(device)
    network = load(
        model.source,
        model.name,
        weights=model.weights,
        revision=model.revision,
        options=model.options,
        device=device,
    )
    network = with_autocast(with_framing(network, model.framing), runtime.autocast)
    if not network.is_users_code and runtime.autocast is Autocast.none:  # a shorter type would round the folded weights
        network = with_folded_norms(network, network.preprocess(Image.new("RGB", (256, 256))).to(device))
    return replace(network, label=model.label)


def cut_to_size(network: Network, size: int) -> Prepare:
    """The preprocessing of squares that have `size` pixels a side already; says where patches do not fill them."""
    patch = patch_size(network.module)
    if patch is not None and any(size % extent for extent in patch):
        height, width = (size - size % extent for extent in patch)
        log(
            f"{network.label} sees {height} x {width} of {size} x {size} pixels, since its patches have {patch[0]} x "
            f"{patch[1]}; a size that is a multiple of them loses none"
        )
    return network.normalise


def require_device(device: str) -> None:
    """Raise ConfigError unless torch can compute on a device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"runtime.device={device} is not available: {reason}; use cpu") from None


def note_network(folder: RunFolder, model: ModelConfig, network: Network) -> None:
    """Tell run.json which network was used, and what the paper leaves open about it."""
    folder.note(
        network=dict(network.identity),
        readout=str(model.readout),
        cls_token=str(model.cls_token),
        framing=str(model.framing),
    )
