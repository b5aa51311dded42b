"""How images are compared: the settings that the tasks share, each stated once.

The classes are mixed into those of the tasks; every one checks its own settings and hands on to the next.
"""

from dataclasses import dataclass, field

from omegaconf import MISSING

from semrsm_cli.checks import require, require_at_least
from semrsm_cli.data import ImageOrder
from semrsm_cli.rsm import Centering, Invariance, Kernel, Matcher, check_bandwidth
from semrsm_cli.rsm.locality import check_locality
from semrsm_cli.rsm.matcher import check_method

__all__ = [
    "BandwidthConfig",
    "InvariancesConfig",
    "KernelConfig",
    "KernelsConfig",
    "MatchedConfig",
    "OrderConfig",
    "Settings",
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the checks of all settings end."""

    def __post_init__(self) -> None:
        """Nothing is left to check."""


@dataclass(frozen=True, kw_only=True)
class BandwidthConfig(Settings):
    """The width of the RBF kernel."""

    sigma: float | None = None
    """Width of the RBF kernel; null: the root of the median non-zero squared distance."""
    sigma_tile: int | None = None
    """Take that median within each mini-batch of so many images a side (the paper: 100), not over everything."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bandwidth(self.sigma, self.sigma_tile)


@dataclass(frozen=True, kw_only=True)
class KernelConfig(BandwidthConfig):
    """The kernel that turns matched inner products into similarities (Eq. 6 to 8)."""

    name: Kernel = Kernel.rbf
    """`linear`, `cosine` or `rbf`."""


@dataclass(frozen=True, kw_only=True)
class KernelsConfig(BandwidthConfig):
    """Several kernels."""

    kernels: list[Kernel] = field(default_factory=lambda: [Kernel.cosine, Kernel.linear, Kernel.rbf])
    """Kernels, all from one matching."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.kernels), f"kernels is empty; give some of {', '.join(Kernel)}")


@dataclass(frozen=True, kw_only=True)
class MatchedConfig(Settings):
    """How positions are matched, and what is subtracted before."""

    matching: Matcher = MISSING
    """Method of the matching."""
    centering: Centering = Centering.sample
    """Subtract the mean over the samples at each position (`sample`, the paper), per `channel`, or `none`."""
    locality: list[float] = field(default_factory=list)
    """What it costs to move a position: further rows between `permutation` (0, free) and `none` (large values), and a
    figure of them. A displacement by a share d of the map's diagonal costs so many mean squared norms of a concept
    vector, times d squared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for value in self.locality:
            check_locality(value)
        if any(self.locality):
            check_method(self.matching.method)


@dataclass(frozen=True, kw_only=True)
class OrderConfig(Settings):
    """The order of the images: tiles of sigma_tile and mini-batches hold images that follow each other."""

    image_order: ImageOrder = ImageOrder.drawn
    """`drawn`: in a random order that follows from the seed, also where all images are taken; `files`: in the set's
    own, by scene or class, so that a tile of sigma_tile or a mini-batch holds images of a few of them."""


@dataclass(frozen=True, kw_only=True)
class InvariancesConfig(Settings):
    """Several invariances, and the intervals of what is measured under each."""

    invariances: list[Invariance] = field(
        default_factory=lambda: [Invariance.none, Invariance.pooled, Invariance.permutation]
    )
    """`none`, `translation` (CNN maps only), `permutation`, `pooled`: one mean vector per image, and `maxsim`: every
    concept vector with its best partner."""
    n_resamples: int = 1000
    """Resamples for confidence intervals; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.invariances), f"invariances is empty; give some of {', '.join(Invariance)}")
        require_at_least(0, self, "n_resamples")
