"""Every setting of every task, typed and checked, with its default."""

import math
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from semrsm_cli.data import AspectRatio, ClassSet, Metric, OnError
from semrsm_cli.data.egoobjects import CONDITIONS
from semrsm_cli.matching import Method
from semrsm_cli.measures.cka import Estimator
from semrsm_cli.models import ClsToken, Readout, Source
from semrsm_cli.models.recipe import Architecture, Crop, Policy, TrainingPrecision
from semrsm_cli.rsm import Centering, Invariance, Kernel
from semrsm_cli.store import Precision

__all__ = [
    "POOLED",
    "BenchConfig",
    "Cifar100Config",
    "CityscapesConfig",
    "CkaConfig",
    "CorrelateConfig",
    "DatasetConfig",
    "EgoobjectsConfig",
    "ExtractConfig",
    "FolderConfig",
    "ImagenetConfig",
    "KernelConfig",
    "MatchingConfig",
    "ModelConfig",
    "PhotosConfig",
    "ReportConfig",
    "RetrievalSetConfig",
    "RetrieveConfig",
    "RsmConfig",
    "RuntimeConfig",
    "ScenesConfig",
    "TinyImagenetConfig",
    "TrainConfig",
    "TranslateConfig",
    "register_configs",
]

POOLED = "pooled"
"""One mean vector per image, beside the invariances of an RSM."""

TIMED = (
    Method.optimal,
    Method.scipy,
    Method.ortools,
    Method.lapjv,
    Method.batch_optimal,
    Method.topk_greedy,
    Method.greedy,
    Method.diagonal,
)


def require(holds: bool, complaint: str) -> None:
    """Raise ValueError with `complaint` unless the condition holds."""
    if not holds:
        raise ValueError(complaint)


def require_at_least(least: int, settings: object, *names: str, group: str = "") -> None:
    """Raise ValueError unless the named settings, where they are given, are at least `least` and finite."""
    for name in names:
        value = getattr(settings, name)
        require(value is None or least <= value < math.inf, f"{group}{name} must be at least {least}, got {value}")


def require_positive(settings: object, *names: str, group: str = "") -> None:
    """Raise ValueError unless the named settings, where they are given, are above 0 and finite."""
    for name in names:
        value = getattr(settings, name)
        require(value is None or 0 < value < math.inf, f"{group}{name} must be above 0 and finite, got {value}")


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """Which network looks at the images, and where its representations are read."""

    label: str = MISSING
    """Name in tables and figures; for the paper's models the paper's own."""
    source: Source = MISSING
    """Library that builds the network."""
    name: str = MISSING
    """Name within that library, a Hugging Face id or local folder; for `checkpoint` timm:NAME or torchvision:NAME."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a state dict."""
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face checkpoint, or torchvision's name of a set of weights."""
    layers: Any = field(default_factory=lambda: ["last"])
    """Module names or patterns with `*`; `all` for every block, `last` for the last hidden layer."""
    readout: Readout = Readout.after_norm
    """Where the last hidden layer is read in networks that end in a normalisation."""
    cls_token: ClsToken = ClsToken.drop
    """Whether a class token counts as a position; the paper's code keeps it."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture: +model.options.num_hidden_layers=2."""

    def __post_init__(self) -> None:
        self.layers = [self.layers] if isinstance(self.layers, str) else [str(layer) for layer in self.layers]
        require(bool(self.layers), "model.layers names no layer; give names, patterns, 'all' or 'last'")


@dataclass(kw_only=True, slots=True)
class DatasetConfig:
    """A set of images; each kind adds its own settings."""

    name: str = MISSING
    """Name of the set, as in tables."""
    on_error: OnError = OnError.stop
    """What to do with an image file that cannot be read: `stop`, or `skip` and count it."""


@dataclass(kw_only=True, slots=True)
class PhotosConfig(DatasetConfig):
    """Regions of the natural photographs that come with scikit-image."""

    regions: int = 6
    """Square regions cut from each photograph."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "regions", group="dataset.")


@dataclass(kw_only=True, slots=True)
class RetrievalSetConfig(DatasetConfig):
    """A set that `semrsm retrieve` draws queries and a database from."""

    n_queries: int | None = None
    """Number of queries."""
    n_database: int | None = None
    """Number of database images; by default all that are no queries."""
    draw: str | None = None
    """File of ids to use instead of drawing, as a run leaves it in tables/draw.csv."""


@dataclass(kw_only=True, slots=True)
class FolderConfig(RetrievalSetConfig):
    """Any folder of images, searched through all its subfolders."""

    root: str | None = None
    """The folder."""
    labels: str | None = None
    """CSV of what the images show (columns image, class, count, group), for the scores of `semrsm retrieve`."""
    metric: Metric = Metric.count_f1
    """How a neighbour is scored where there are labels."""


@dataclass(kw_only=True, slots=True)
class EgoobjectsConfig(RetrievalSetConfig):
    """EgoObjects in its own files."""

    root: str | None = None
    """The folder with `images` and the annotations; by default `egoobjects` under $SEMRSM_DATA."""
    subset: str | None = "test"
    """Which images of the annotations' field `subset`; null takes all."""
    aspect_ratio: AspectRatio = AspectRatio.exact
    """Which images count as 16:9: `exact`, within `one_percent`, or `any`."""
    width: int = 1920
    """Width in pixels that images are resized to."""
    height: int = 1080
    """Height in pixels that images are resized to; the paper prints 1028, which is not 16:9."""
    official_categories: bool = False
    """Whether only objects of the official detection categories count."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "width", "height", group="dataset.")


@dataclass(kw_only=True, slots=True)
class CityscapesConfig(RetrievalSetConfig):
    """Cityscapes in its own files: validation images are the queries, training images the database."""

    root: str | None = None
    """The folder with `leftImg8bit` and `gtFine`; by default $CITYSCAPES_DATASET or `cityscapes` in $SEMRSM_DATA."""
    class_set: ClassSet = ClassSet.eval19
    """Which classes count; the paper does not say."""
    min_pixels: int = 1
    """A class is present from so many pixels on."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "min_pixels", group="dataset.")


@dataclass(kw_only=True, slots=True)
class ScenesConfig(RetrievalSetConfig):
    """Made-up scenes of several objects, in EgoObjects' own files."""

    n_scenes: int = 24
    """Scenes, each a set of 2 to 5 kinds of objects."""
    n_videos: int = 4
    """Videos of each scene, up to 10, each under conditions of its own."""
    n_frames: int = 2
    """Frames of each video."""
    objects: bool = False
    """Take the objects in the scenes one by one: those that `semrsm train` keeps for validation."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "n_scenes", "n_videos", "n_frames", group="dataset.")
        require(
            self.n_videos <= len(CONDITIONS), f"dataset.n_videos can be {len(CONDITIONS)} at most, got {self.n_videos}"
        )


@dataclass(kw_only=True, slots=True)
class ImagenetConfig(DatasetConfig):
    """ImageNet-1k in a folder, or as a Hugging Face data set."""

    root: str | None = None
    """The folder; by default `imagenet` under $SEMRSM_DATA."""
    split: str = "val"
    """Split: train, val or test."""
    hub: str | None = None
    """Hugging Face id or local copy to read instead of `root`."""


@dataclass(kw_only=True, slots=True)
class TinyImagenetConfig(DatasetConfig):
    """Tiny-ImageNet-200 in its own layout, or as a Hugging Face data set."""

    root: str | None = None
    """The folder; by default `tiny-imagenet-200` under $SEMRSM_DATA."""
    split: str = "val"
    """Split: train, val or test."""
    hub: str | None = None
    """Hugging Face id or local copy to read instead of `root`."""


@dataclass(kw_only=True, slots=True)
class Cifar100Config(DatasetConfig):
    """CIFAR-100 in its own files."""

    root: str | None = None
    """The folder with `train`, `test` and `meta`; by default `cifar-100-python` under $SEMRSM_DATA."""
    split: str = "test"
    """Split: train or test. `semrsm train` takes train."""


@dataclass(kw_only=True, slots=True)
class KernelConfig:
    """The kernel that turns matched inner products into similarities (Eq. 6 to 8)."""

    name: Kernel = Kernel.rbf
    """`linear`, `cosine` or `rbf`."""
    sigma: float | None = None
    """Width of the RBF kernel; by default the root of the median non-zero squared distance."""
    sigma_tile: int | None = None
    """Take that median within each mini-batch of so many images a side (the paper: 100), not over everything."""

    def __post_init__(self) -> None:
        require_positive(self, "sigma", group="kernel.")
        require_at_least(1, self, "sigma_tile", group="kernel.")


@dataclass(kw_only=True, slots=True)
class MatchingConfig:
    """How the permutation of two images' positions is found."""

    method: Method = Method.optimal
    """Matching method; `optimal` certifies its value."""
    tolerance: float = 1e-4
    """Largest certified gap of `optimal`, relative to the value."""
    batch: int = 512
    """Positions per batch of `batch_optimal`."""
    k: int = 128
    """Positions that `topk_greedy` matches optimally."""

    def __post_init__(self) -> None:
        require(0 < self.tolerance < 1, f"matching.tolerance must lie between 0 and 1, got {self.tolerance}; try 1e-4")
        require_at_least(1, self, "batch", "k", group="matching.")


@dataclass(kw_only=True, slots=True)
class RuntimeConfig:
    """The machine: device, threads, memory, batches."""

    device: str = "cpu"
    """Torch device of the network: cpu, cuda, cuda:1, mps."""
    batch_size: int = 20
    """Images per forward pass; part of the store's key, since features change with it in the last digits."""
    loaders: int = 0
    """Processes that read images ahead of the network."""
    workers: int | None = None
    """Threads that match; by default one per core that this process may use."""
    memory_gib: float = 4.0
    """Memory that the tiles of an RSM may take together."""
    precision: Precision = Precision.float32
    """How representations are stored."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size", "workers", group="runtime.")
        require_at_least(0, self, "loaders", group="runtime.")
        require_positive(self, "memory_gib", group="runtime.")


@dataclass(kw_only=True, slots=True)
class TaskConfig:
    """What all tasks share."""

    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Device, threads, memory."""
    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, f"seed must be at least 0 and below 2**32, got {self.seed}")


@dataclass(kw_only=True, slots=True)
class ExtractConfig(TaskConfig):
    """Settings of `semrsm extract`."""

    model: ModelConfig = MISSING
    """The network."""
    dataset: DatasetConfig = MISSING
    """The images."""
    n_images: int | None = None
    """Draw so many images; by default all."""

    def __post_init__(self) -> None:
        TaskConfig.__post_init__(self)
        require_at_least(1, self, "n_images")


@dataclass(kw_only=True, slots=True)
class RsmConfig(ExtractConfig):
    """Settings of `semrsm rsm`."""

    x: str | None = None
    """File of representations [n, s, c] to use instead of a model and images: .npy, .npz, .safetensors or Zarr."""
    y: str | None = None
    """A second file; the RSM then compares the images of x with those of y."""
    kernel: KernelConfig = MISSING
    """Kernel of the RSM."""
    matching: MatchingConfig = MISSING
    """Method of the matching."""
    invariance: Invariance = Invariance.permutation
    """`none` (spatio-semantic), `translation`, or `permutation` (semantic)."""
    centering: Centering = Centering.sample
    """Subtract the mean over the samples at each position (`sample`, the paper), per `channel`, or `none`."""
    grid: Any = None
    """[height, width] of the positions of x, for invariance=translation on files."""

    def __post_init__(self) -> None:
        ExtractConfig.__post_init__(self)
        require(self.y is None or self.x is not None, "y= was given without x=; give x= too")
        if self.grid is not None:
            self.grid = tuple(int(side) for side in self.grid)
            require(len(self.grid) == 2, f"grid must be [height, width], got {list(self.grid)}")


@dataclass(kw_only=True, slots=True)
class TranslateConfig(TaskConfig):
    """Settings of `semrsm translate`."""

    model: ModelConfig = MISSING
    """The network."""
    dataset: DatasetConfig = MISSING
    """The images."""
    kernel: KernelConfig = MISSING
    """Kernel of the RSMs; its sigma is taken within each batch, as in the paper."""
    matching: MatchingConfig = MISSING
    """Method of the matching."""
    centering: Centering = Centering.sample
    """Subtract the mean over the samples at each position (`sample`, the paper), per `channel`, or `none`."""
    size: int = 84
    """Side in pixels of the square that each image is brought to."""
    crop: int = 64
    """Side in pixels of the two crops, taken from its upper and its lower left."""
    n_pairs: int = 10
    """Images in a batch; each gives an upper and a lower crop."""
    n_batches: int = 6
    """Batches, all of unrelated images."""

    def __post_init__(self) -> None:
        TaskConfig.__post_init__(self)
        require(self.size > self.crop > 0, f"size must be larger than crop, got size={self.size} and crop={self.crop}")
        require_at_least(2, self, "n_pairs")
        require_at_least(1, self, "n_batches")


@dataclass(kw_only=True, slots=True)
class BenchConfig(TaskConfig):
    """Settings of `semrsm bench`."""

    model: ModelConfig = MISSING
    """The network whose maps are matched."""
    dataset: DatasetConfig = MISSING
    """The images."""
    size: int | None = 512
    """Side in pixels of the square that each image is brought to; null for the network's own preprocessing."""
    n_images: int = 8
    """Images, all unrelated; each pair of them can be matched."""
    positions: list[int] = field(default_factory=lambda: [256, 1024, 4096])
    """Sizes to time; for each, a layer with so many positions."""
    methods: list[Method] = field(default_factory=lambda: [*TIMED])
    """Methods to time, on pairs in turn."""
    batches: list[int] = field(default_factory=lambda: [128, 256, 512, 1024])
    """Batch lengths of `batch_optimal`."""
    tolerance: float = 1e-4
    """Largest certified gap of `optimal`, relative to the value."""
    k: int = 128
    """Positions that `topk_greedy` matches optimally."""
    seconds_per_cell: float = 2.0
    """Time for one method at one size; a slow method gets fewer pairs, at least one."""
    n_pairs: int = 28
    """Most pairs of a cell."""
    largest_matrix: int = 8192
    """Beyond so many positions no affinity matrix is built, and only methods that need none are timed."""
    centering: Centering = Centering.none
    """`sample`, `channel` or `none`, as in Table 5: centred images may have no similarity to take a ratio of."""

    def __post_init__(self) -> None:
        TaskConfig.__post_init__(self)
        require_at_least(1, self, "size", "k", "n_pairs")
        require_at_least(2, self, "n_images")
        require_at_least(0, self, "largest_matrix")
        require_positive(self, "seconds_per_cell")
        require(0 <= self.tolerance < 1, f"tolerance must be at least 0 and below 1, got {self.tolerance}; try 1e-4")
        require(bool(self.positions), "positions is empty; give sizes such as [256,1024]")
        require(bool(self.methods), f"methods is empty; give some of {', '.join(Method)}")
        require(all(batch >= 1 for batch in self.batches), f"batches must be at least 1, got {self.batches}")


@dataclass(kw_only=True, slots=True)
class RetrieveConfig(TaskConfig):
    """Settings of `semrsm retrieve`."""

    model: ModelConfig = MISSING
    """The network; one layer."""
    dataset: DatasetConfig = MISSING
    """The images: egoobjects, cityscapes, scenes or folder."""
    matching: MatchingConfig = MISSING
    """Method of the matching."""
    kernels: list[Kernel] = field(default_factory=lambda: [Kernel.cosine, Kernel.linear, Kernel.rbf])
    """Kernels, all from one matching."""
    sigma: float | None = None
    """Width of the RBF kernel; by default the root of the median non-zero squared distance."""
    sigma_tile: int | None = None
    """Take that median within each mini-batch of so many images a side (the paper: 100), not over everything."""
    invariances: list[str] = field(default_factory=lambda: ["none", "pooled", "permutation"])
    """`none`, `translation` (CNN maps only), `permutation`, and `pooled`: one mean vector per image."""
    centering: Centering = Centering.sample
    """Subtract the database's mean at each position (`sample`, the paper), per `channel`, or `none`."""
    k: int = 5
    """Neighbours of a query that are kept and drawn."""
    shortlist: int | None = None
    """Match only the so many database images whose pooled vectors are most similar to the query's."""
    n_pictures: int = 4
    """Queries to draw with their neighbours."""
    n_thumbnails: int = 50
    """Queries of which thumbnails are kept with their neighbours', for `semrsm report` to lay models side by side."""

    def __post_init__(self) -> None:
        TaskConfig.__post_init__(self)
        require_comparisons(self.kernels, self.invariances)
        require_at_least(1, self, "k")
        require(
            self.shortlist is None or self.shortlist >= self.k,
            f"shortlist must be at least k={self.k}, got {self.shortlist}",
        )
        require_at_least(0, self, "n_pictures", "n_thumbnails")
        require_positive(self, "sigma")
        require_at_least(1, self, "sigma_tile")


@dataclass(kw_only=True, slots=True)
class CorrelateConfig(ExtractConfig):
    """Settings of `semrsm correlate`."""

    x: str | None = None
    """File of representations [n, s, c] to use instead of a model and images: .npy, .npz, .safetensors or Zarr."""
    logits: str | None = None
    """File of the logits [n, classes] that belong to x."""
    matching: MatchingConfig = MISSING
    """Method of the matching."""
    kernels: list[Kernel] = field(default_factory=lambda: [Kernel.cosine, Kernel.linear, Kernel.rbf])
    """Kernels, all from one matching."""
    sigma: float | None = None
    """Width of the RBF kernel; by default the root of the median non-zero squared distance."""
    sigma_tile: int | None = None
    """Take that median within each mini-batch of so many images a side (the paper: 100), not over everything."""
    invariances: list[str] = field(default_factory=lambda: ["none", "pooled", "permutation"])
    """`none`, `translation` (CNN maps only), `permutation`, and `pooled`: one mean vector per image."""
    centering: Centering = Centering.sample
    """Subtract the mean over the samples at each position (`sample`, the paper), per `channel`, or `none`."""
    n_resamples: int = 1000
    """Resamples of the images for confidence intervals; 0 for none."""
    n_permutations: int = 1000
    """Permutations for the test of `permutation` against `none`; 0 for none."""
    arrays: bool = True
    """Whether RSMs and divergences are written too, 4 bytes a pair."""

    def __post_init__(self) -> None:
        ExtractConfig.__post_init__(self)
        require_at_least(3, self, "n_images")
        require((self.x is None) == (self.logits is None), "x and logits belong together; give both or neither")
        require_comparisons(self.kernels, self.invariances)
        require_positive(self, "sigma")
        require_at_least(1, self, "sigma_tile")
        require(
            self.sigma is None or self.sigma_tile is None, "sigma and sigma_tile exclude each other; give one of them"
        )
        require_at_least(0, self, "n_resamples", "n_permutations")


def require_comparisons(kernels: list[Kernel], invariances: list[str]) -> None:
    """Raise ValueError unless there are kernels, and invariances that are known."""
    require(bool(kernels), "kernels is empty; give some of cosine, linear, rbf")
    known = [*(str(invariance) for invariance in Invariance), POOLED]
    wrong = [name for name in invariances if name not in known]
    require(not wrong and bool(invariances), f"invariances must be some of {', '.join(known)}, got {wrong}")


@dataclass(kw_only=True, slots=True)
class CkaConfig(ExtractConfig):
    """Settings of `semrsm cka`."""

    names: Any = field(default_factory=list)
    """More networks like model.name, such as other seeds; CKA is averaged over them. Paths may hold `*`."""
    across: bool = False
    """Compare every two of these networks, not each with itself."""
    model_b: ModelConfig | None = None
    """A second network, to compare with the first: model@model_b=resnet18."""
    a: Any = field(default_factory=list)
    """Files or stored keys of representations [n, s, c] to use instead of a model and images, one or several layers."""
    b: Any = field(default_factory=list)
    """The same for a second network; s and c may differ, the images must not. Ids are compared where both have some: in
    NAME.ids.csv beside the file (column `id`), or in an array `ids` of an .npz file."""
    size: int | None = None
    """Side in pixels of the square that each image is brought to; by default the network's own preprocessing."""
    kernels: list[Kernel] = field(default_factory=lambda: [Kernel.linear, Kernel.rbf])
    """Kernels, all from one matching."""
    sigma: float | None = None
    """Width of the RBF kernel; by default the root of the median non-zero squared distance of each RSM."""
    matching: MatchingConfig = MISSING
    """Method of the matching."""
    centering: Centering = Centering.sample
    """Subtract the mean over the samples at each position (`sample`, the paper), per `channel`, or `none`."""
    estimator: Estimator = Estimator.biased
    """How HSIC is estimated: `biased` (Eq. 1) or `unbiased`."""
    batch_images: int = 250
    """Images of a mini-batch; RSMs are made within mini-batches, and their HSICs summed before the ratio."""

    def __post_init__(self) -> None:
        ExtractConfig.__post_init__(self)
        for key in ("names", "a", "b"):
            given = getattr(self, key)
            setattr(self, key, [given] if isinstance(given, str) else [str(name) for name in given or ()])
        require(not self.b or bool(self.a), "b= was given without a=; give a= too")
        require(
            not self.a or not (self.names or self.model_b), "a= takes the place of models; leave out names and model_b"
        )
        require(
            not (self.across and self.model_b),
            "across compares model.name and names with each other; leave out model_b",
        )
        require(bool(self.kernels), "kernels is empty; give some of linear, rbf, cosine")
        require_positive(self, "sigma")
        require_at_least(1, self, "size")
        require_at_least(2, self, "batch_images")


@dataclass(kw_only=True, slots=True)
class ReportConfig:
    """Settings of `semrsm report`."""

    runs: Any = "outputs"
    """Folder of runs, or a list [DIR,DIR]; both are searched with all their subfolders."""
    query: str | None = None
    """Image to draw with its neighbours under all models; by default the queries that tell most."""
    n_pictures: int = 2
    """Queries to draw with their neighbours under all models."""

    def __post_init__(self) -> None:
        self.runs = [self.runs] if isinstance(self.runs, str) else [str(place) for place in self.runs or ()]
        require(bool(self.runs), "runs names no folder; set runs=DIR")
        require_at_least(0, self, "n_pictures")


@dataclass(kw_only=True, slots=True)
class TrainConfig(TaskConfig):
    """Settings of `semrsm train`; the defaults of this class are the recipe for CIFAR-100."""

    dataset: DatasetConfig = MISSING
    """The images: cifar100, tiny_imagenet, imagenet, scenes (the objects in them), or folder (with class folders)."""
    hold_out: float = 0.2
    """Share of the training images that is kept for validation where a set has no validation images of its own."""
    label: str | None = None
    """Name of the network in tables and figures; by default architecture and data set."""
    architecture: Architecture = Architecture.resnet18
    """Network: resnet10, resnet18, resnet34, resnet50 or resnet101."""
    width: int = 64
    """Channels of its stem."""
    early_downsampling: bool = False
    """Halve the map in the stem and again in layer1, for images of 160 pixels and more."""
    image_size: int = 32
    """Side in pixels that images are brought to."""
    mean: list[float] = field(default_factory=lambda: [0.4914, 0.4822, 0.4465])
    """Mean of red, green and blue, from 0 to 1, that is subtracted."""
    std: list[float] = field(default_factory=lambda: [0.2023, 0.1994, 0.2010])
    """Standard deviation that they are divided by."""
    crop: Crop = Crop.padded
    """Part of an image that is seen: `padded` (moved by up to an eighth), `resized` (any size), or `none` (all)."""
    policy: Policy = Policy.cifar10
    """AutoAugment's changes of colours and shapes: `cifar10`, `imagenet` or `none`."""
    cutout: int = 16
    """Side in pixels of the square that is blanked; 0 for none."""
    epochs: int = 200
    """How often every image is seen."""
    batch_size: int = 128
    """Images of a step."""
    learning_rate: float = 0.1
    """Learning rate at the start; it falls to 0 along a cosine."""
    momentum: float = 0.9
    """Nesterov's momentum."""
    weight_decay: float = 5e-4
    """Weight decay."""
    precision: TrainingPrecision = TrainingPrecision.float32
    """Type of the forward and backward pass: float32 or bfloat16."""

    def __post_init__(self) -> None:
        TaskConfig.__post_init__(self)
        require_at_least(1, self, "width", "epochs", "batch_size")
        require_at_least(16, self, "image_size")
        require_positive(self, "learning_rate")
        require(0 <= self.momentum < 1, f"momentum must be at least 0 and below 1, got {self.momentum}")
        require_at_least(0, self, "weight_decay", "cutout")
        require(0 < self.hold_out < 1, f"hold_out must lie between 0 and 1, got {self.hold_out}")
        require(len(self.mean) == len(self.std) == 3, "mean and std must hold three numbers each, as in [0.5,0.5,0.5]")
        require(all(map(math.isfinite, self.mean)), f"mean must be finite, got {list(self.mean)}")
        require(all(0 < x < math.inf for x in self.std), f"std must be above 0 and finite, got {list(self.std)}")


DATASETS = {
    "cifar100": Cifar100Config,
    "photos": PhotosConfig,
    "folder": FolderConfig,
    "cityscapes": CityscapesConfig,
    "egoobjects": EgoobjectsConfig,
    "scenes": ScenesConfig,
    "imagenet": ImagenetConfig,
    "tiny_imagenet": TinyImagenetConfig,
}
TASKS = {
    "bench": BenchConfig,
    "cka": CkaConfig,
    "correlate": CorrelateConfig,
    "extract": ExtractConfig,
    "report": ReportConfig,
    "retrieve": RetrieveConfig,
    "rsm": RsmConfig,
    "train": TrainConfig,
    "translate": TranslateConfig,
}


def register_configs() -> None:
    """Tell Hydra the schema of each task and of each kind of data set."""
    store = ConfigStore.instance()
    for task, schema in TASKS.items():
        store.store(name=f"{task}_schema", node=schema)
    for dataset, schema in DATASETS.items():
        store.store(group="dataset", name=f"{dataset}_schema", node=schema)
