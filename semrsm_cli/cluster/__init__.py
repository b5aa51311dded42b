"""The same units of work on more than one machine, by Dask (optional): what a run computes may be computed anywhere."""

from semrsm_cli.cluster.current import current, engaged
from semrsm_cli.cluster.session import Session
from semrsm_cli.cluster.settings import ClusterConfig, Launcher
from semrsm_cli.cluster.tiles import tile_engine
from semrsm_cli.cluster.unit import UnfitWorkerError

__all__ = ["ClusterConfig", "Launcher", "Session", "UnfitWorkerError", "current", "engaged", "tile_engine"]
