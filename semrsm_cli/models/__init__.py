"""Networks: loaded by source and name, their layers captured as concept vectors."""

from semrsm_cli.models.capture import Capture, Captured, capture
from semrsm_cli.models.network import Autocast, ClsToken, Framing, Network, Readout, Source, resolve_layers
from semrsm_cli.models.zoo import load

__all__ = [
    "Autocast",
    "Capture",
    "Captured",
    "ClsToken",
    "Framing",
    "Network",
    "Readout",
    "Source",
    "capture",
    "load",
    "resolve_layers",
]
