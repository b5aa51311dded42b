"""The settings of every task, typed and checked, with their defaults."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from semrsm_cli.checks import require, require_at_least, require_positive
from semrsm_cli.cluster.settings import ClusterConfig
from semrsm_cli.config.comparison import (
    InvariancesConfig,
    KernelConfig,
    KernelsConfig,
    MatchedConfig,
    OrderConfig,
    Settings,
)
from semrsm_cli.config.model import ModelConfig
from semrsm_cli.config.runtime import RuntimeConfig
from semrsm_cli.data import Dataset, ResampleBy
from semrsm_cli.data.save_layers import SAVED_AS
from semrsm_cli.matching import Method
from semrsm_cli.measures.cka import Estimator
from semrsm_cli.measures.nulls import MIN_PERMUTATIONS
from semrsm_cli.models.recipe import Recipe
from semrsm_cli.rsm import Centering, Invariance, Kernel

__all__ = [
    "BenchConfig",
    "CkaConfig",
    "CorrelateConfig",
    "ExtractConfig",
    "ReportConfig",
    "RetrieveConfig",
    "RsmConfig",
    "TrainConfig",
    "TranslateConfig",
]

_TIMED = (
    Method.optimal,
    Method.scipy,
    Method.ortools,
    Method.ortools_x1000,
    Method.lapjv,
    Method.batch_optimal,
    Method.topk_greedy,
    Method.greedy,
    Method.diagonal,
)


@dataclass(frozen=True, kw_only=True)
class _TaskConfig(Settings):
    """What all tasks share."""

    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Device, threads, memory."""
    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.seed < 2**32, f"seed must be at least 0 and below 2**32, got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class _NetworkConfig(_TaskConfig):
    """What the tasks share that show images to a network."""

    model: ModelConfig = MISSING
    """The network."""
    dataset: Dataset = MISSING
    """The images."""


@dataclass(frozen=True, kw_only=True)
class _ClusterTaskConfig(_NetworkConfig):
    """What the tasks share that match or extract."""

    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where tiles of RSMs are matched and images go through the network."""


@dataclass(frozen=True, kw_only=True)
class _ImagesConfig(_ClusterTaskConfig):
    """What the tasks share that draw images of a set."""

    n_images: int | None = None
    """Images that are drawn at random; null takes all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "n_images")


@dataclass(frozen=True, kw_only=True)
class ExtractConfig(_ImagesConfig):
    """Settings of `semrsm extract`."""

    save: str | None = None
    """Also write the layers, with ids and grids, to this .npz or .safetensors file or Zarr folder; `x=` takes them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.save is None or Path(self.save).suffix in SAVED_AS,
            f"save must end in .npz, .safetensors or .zarr, or be a folder without a suffix, got {self.save}",
        )


@dataclass(frozen=True, kw_only=True)
class RsmConfig(_ImagesConfig, MatchedConfig):
    """Settings of `semrsm rsm`."""

    x: str | None = None
    """File or stored key of representations [n, s, c] to use instead of a model and images: .npy, .npz, .safetensors
    or Zarr. Each array of a file gets an RSM, or one of them: 'x="FILE#NAME"'."""
    y: str | None = None
    """A second one; the RSM then compares the images of x with those of y, layer by layer where there are several."""
    kernel: KernelConfig = MISSING
    """Kernel of the RSM."""
    invariance: Invariance = Invariance.permutation
    """`none` (spatio-semantic), `translation`, `permutation` (semantic), `pooled`: one mean vector per image, or
    `maxsim`: every concept vector with its best partner."""
    grid: list[int] | None = None
    """[height, width] of the positions of x, for invariance=translation on files that do not say it."""
    dendrogram: bool = False
    """Whether images stand in the order of a dendrogram in the figure, alike ones together; arrays keep their order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.y is None or self.x is not None, "y= was given without x=; give x= too")
        require(self.grid is None or len(self.grid) == 2, f"grid must be [height, width], got {self.grid}")
        require(
            not any(self.locality) or self.invariance is Invariance.permutation,
            f"locality lies between permutation and none, got invariance={self.invariance}; leave one of them out",
        )


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(_ClusterTaskConfig, MatchedConfig):
    """Settings of `semrsm translate`."""

    kernel: KernelConfig = MISSING
    """Kernel of the RSMs; its sigma is taken within each batch, as in the paper."""
    size: int = 84
    """Side in pixels of the square that each image is brought to."""
    crop: int = 64
    """Side in pixels of the two crops, taken from its upper and its lower left."""
    n_pairs: int = 10
    """Images in a batch; each gives an upper and a lower crop."""
    n_batches: int = 6
    """Batches, all of unrelated images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.size > self.crop > 0, f"size must be larger than crop, got size={self.size} and crop={self.crop}")
        require_at_least(2, self, "n_pairs")
        require_at_least(1, self, "n_batches")


@dataclass(frozen=True, kw_only=True)
class BenchConfig(_NetworkConfig):
    """Settings of `semrsm bench`."""

    size: int | None = 512
    """Side in pixels of the square that each image is brought to; null for the network's own preprocessing."""
    n_images: int = 8
    """Images, all unrelated; each pair of them can be matched."""
    positions: list[int] = field(default_factory=lambda: [256, 1024, 4096])
    """Sizes to time; for each, a layer with so many positions."""
    methods: list[Method] = field(default_factory=lambda: [*_TIMED])
    """Methods to time: finding the permutation alone, the affinity given. `ortools_x1000` is OR-Tools as the paper's
    authors call it, on int(1000 * affinity)."""
    batches: list[int] = field(default_factory=lambda: [128, 256, 512, 1024])
    """Batch lengths of `batch_optimal`."""
    tolerance: float = 1e-4
    """Largest certified gap of `optimal`, relative to the value."""
    n_exact: list[int] = field(default_factory=lambda: [128, 256, 512, 1024, 2048])
    """Numbers of positions that `topk_greedy` matches optimally; it equals the optimum where that is all."""
    seconds_per_cell: float = 2.0
    """Time for one method at one size: when the slowest has used up its own, timing ends at that size, so that all are
    timed on the same pairs; at least one."""
    n_pairs: int = 28
    """Pairs that the approximations are compared with the optimum on; the first of them are timed."""
    largest_matrix: int = 8192
    """Beyond so many positions no affinity matrix is built, and only methods that need none are timed."""
    centering: Centering = Centering.none
    """`sample`, `channel` or `none`, as in Table 5: centred images may have no similarity to take a ratio of."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "size", "n_pairs")
        require_at_least(2, self, "n_images")
        require_at_least(0, self, "largest_matrix")
        require_positive(self, "seconds_per_cell")
        require(0 <= self.tolerance < 1, f"tolerance must be at least 0 and below 1, got {self.tolerance}; try 1e-4")
        require(bool(self.positions), "positions is empty; give sizes such as [256,1024]")
        require(bool(self.methods), f"methods is empty; give some of {', '.join(Method)}")
        for name in ("batches", "n_exact"):
            values: list[int] = getattr(self, name)
            require(all(value >= 1 for value in values), f"{name} must be at least 1, got {values}")


@dataclass(frozen=True, kw_only=True)
class RetrieveConfig(_ClusterTaskConfig, MatchedConfig, KernelsConfig, InvariancesConfig, OrderConfig):
    """Settings of `semrsm retrieve`; the network has one layer, the mean that centres is the database's."""

    n_resamples: int = 10_000
    """Resamples for confidence intervals; 0 for none."""
    resample_by: ResampleBy | None = None
    """What is resampled: `scene`, `video`, or each `query` alone; null: scenes, and of Cityscapes sequences, its
    videos."""
    n_neighbours: int = 5
    """Neighbours of a query that are kept and drawn."""
    query_size: int | None = None
    """Side in pixels of the square that each query is brought to, so that it may have fewer positions than the images
    it is compared with, or more: all of the smaller one are matched. `none`, `translation` and `maxsim`, which need
    as many of both, are left out, and each side is centred by its own mean. Null: queries are seen as the
    database's images."""
    shortlist: int | None = None
    """Match only the so many database images whose pooled vectors are most similar to the query's."""
    n_pictures: int = 4
    """Queries to draw with their neighbours."""
    n_thumbnails: int = 50
    """Queries of which thumbnails are kept with their neighbours', for `semrsm report` to lay models side by side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "n_neighbours", "query_size")
        require(
            self.shortlist is None or self.shortlist >= self.n_neighbours,
            f"shortlist must be at least n_neighbours={self.n_neighbours}, got {self.shortlist}",
        )
        require_at_least(0, self, "n_pictures", "n_thumbnails")


@dataclass(frozen=True, kw_only=True)
class CorrelateConfig(_ImagesConfig, MatchedConfig, KernelsConfig, InvariancesConfig, OrderConfig):
    """Settings of `semrsm correlate`; resamples are of the images, and of whole groups where these are related."""

    x: str | None = None
    """File or stored key of representations [n, s, c] to use instead of a model and images: .npy, .npz, .safetensors
    or Zarr."""
    logits: str | None = None
    """File of the logits [n, classes] that belong to x."""
    n_permutations: int = 1000
    """Permutations for the approximate test of `permutation` against `none`; 0 for none."""
    arrays: bool = True
    """Whether RSMs and divergences are written too, 4 bytes a pair."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(3, self, "n_images")
        require((self.x is None) == (self.logits is None), "x and logits belong together; give both or neither")
        require_at_least(0, self, "n_permutations")


@dataclass(frozen=True, kw_only=True)
class CkaConfig(_ImagesConfig, MatchedConfig, KernelsConfig, OrderConfig):
    """Settings of `semrsm cka`; sigma is taken from each RSM."""

    model_names: list[str] = field(default_factory=list)
    """More networks like model.name, such as other seeds; CKA is averaged over them. Paths may hold `*`."""
    between_networks: bool = False
    """Compare every two of these networks, not each with itself."""
    model_b: ModelConfig | None = None
    """A second network, to compare with the first: model@model_b=resnet18."""
    x: list[str] = field(default_factory=list)
    """Files or stored keys of representations [n, s, c] to use instead of a model and images, one or several layers."""
    y: list[str] = field(default_factory=list)
    """The same for a second network; s and c may differ, the images must not. Ids are compared where both have some: in
    NAME.ids.csv beside the file (column `id`), or in an array `ids` of an .npz file."""
    size: int | None = None
    """Side in pixels of the square that each image is brought to; null for the network's own preprocessing."""
    kernels: list[Kernel] = field(default_factory=lambda: [Kernel.linear, Kernel.rbf])
    """Kernels, all from one matching."""
    invariances: list[Invariance] = field(default_factory=lambda: [Invariance.none, Invariance.permutation])
    """`none` and `permutation`, which the figures compare, and beside them in the tables `translation` (CNN maps only),
    `pooled`: one mean vector per image, or `maxsim`: every concept vector with its best partner."""
    estimator: Estimator = Estimator.biased
    """How HSIC is estimated: `biased` (Eq. 1) or `unbiased`."""
    batch_images: int = 250
    """Images of a mini-batch; RSMs are made within mini-batches, drawn at random, and their HSICs summed before the
    ratio."""
    n_permutations: int = 200
    """Shuffles of the images of one side, for what CKA is by chance (`null_mean`, `null_95`, `calibrated`) and for the
    p-value of a permutation test; 0 for none."""
    classes: str | None = None
    """The class of each image, for CKA within classes: a CSV file (columns image, class), or `folders`, the folder that
    an image lies in."""
    n_draws: int = 1
    """Draws of n_images and of their mini-batches, each matched anew: CKA is their mean, and `std` tells how far it
    depends on the images. They share none where the set holds n_draws times n_images. Where all images are taken, as
    with x=, mini-batches alone are drawn, and `std` tells less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.y or bool(self.x), "y= was given without x=; give x= too")
        require(
            not self.x or not (self.model_names or self.model_b),
            "x= takes the place of models; leave out model_names and model_b",
        )
        require(
            not (self.between_networks and self.model_b),
            "between_networks compares model.name and model_names with each other; leave out model_b",
        )
        require_at_least(1, self, "size")
        require_at_least(2, self, "batch_images")
        require_at_least(1, self, "n_draws")
        require(
            {Invariance.none, Invariance.permutation} <= set(self.invariances),
            f"cka compares none with permutation, got invariances=[{','.join(self.invariances)}]; add what is missing",
        )
        require(
            self.n_permutations == 0 or self.n_permutations >= MIN_PERMUTATIONS,
            f"n_permutations must be 0 or at least {MIN_PERMUTATIONS}, got {self.n_permutations}: fewer reject nothing",
        )
        require(
            self.classes is None or self.n_permutations > 0,
            "classes= is compared with its null; set n_permutations=200, or leave classes out",
        )


@dataclass(frozen=True, kw_only=True)
class ReportConfig(Settings):
    """Settings of `semrsm report`."""

    runs: list[str] = field(default_factory=lambda: ["outputs"])
    """Folders of runs: DIR or [DIR,DIR]; all are searched with their subfolders."""
    query: str | None = None
    """Image to draw with its neighbours under all models; null: the queries that tell most."""
    n_pictures: int = 2
    """Queries to draw with their neighbours under all models."""
    open: bool = False
    """Open the page in the browser when it is written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.runs), "runs names no folder; set runs=DIR")
        require_at_least(0, self, "n_pictures")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(_TaskConfig):
    """Settings of `semrsm train`."""

    dataset: Dataset = MISSING
    """The images: cifar100, tiny_imagenet, imagenet, scenes (the objects in them), or folder (with class folders)."""
    recipe: Recipe = MISSING
    """The network, and how it is trained."""
    val_fraction: float = 0.2
    """Share of the training images that is kept for validation where a set has no validation images of its own."""
    label: str | None = None
    """Name of the network in tables and figures; null: architecture and data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.val_fraction < 1, f"val_fraction must lie between 0 and 1, got {self.val_fraction}")
