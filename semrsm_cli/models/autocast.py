"""Networks that compute in a shorter type where they lose little by it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semrsm_cli.models.network import Autocast, Network

__all__ = ["with_autocast"]


@dataclass(frozen=True)
class _Autocast:
    """A forward pass whose products and convolutions are of another type, as `torch.autocast` chooses them."""

    forward: Callable[[Tensor], Tensor]
    dtype: torch.dtype

    def __call__(self, batch: Tensor) -> Tensor:
        """One pass over images [n, 3, h, w]."""
        with torch.autocast(batch.device.type, dtype=self.dtype):
            return self.forward(batch)


def with_autocast(network: Network, autocast: Autocast) -> Network:
    """The network in that type; its identity says so, since other digits come out."""
    if autocast is Autocast.none:
        return network
    forward = _Autocast(network.forward, getattr(torch, autocast))
    return replace(network, forward=forward, identity=network.identity | {"autocast": str(autocast)})
