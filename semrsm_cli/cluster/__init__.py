"""The same units of work on more than one machine, by Dask (optional): what a run computes may be computed anywhere."""

from typing import TYPE_CHECKING

import lazy_loader

from semrsm_cli.cluster.current import current, engaged
from semrsm_cli.cluster.settings import ClusterConfig, Launcher

if TYPE_CHECKING:
    from semrsm_cli.cluster.session import Session
    from semrsm_cli.cluster.tiles import tile_engine
    from semrsm_cli.cluster.unit import UnfitWorkerError

__all__ = ["ClusterConfig", "Launcher", "Session", "UnfitWorkerError", "current", "engaged", "tile_engine"]

# Sessions need the store, and with it Zarr, which would slow down every `semrsm --help`.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "session": ["Session"],
        "tiles": ["tile_engine"],
        "unit": ["UnfitWorkerError"],
    },
)
