"""Sets of images: the settings class of each says which images, and is asked for them."""

from collections.abc import Callable

from semrsm_cli.data.cifar100 import Cifar100
from semrsm_cli.data.cityscapes import Cityscapes, ClassSet
from semrsm_cli.data.crops import batches_of_unrelated, crop_pairs, overlapping_crops, resized_squares
from semrsm_cli.data.dataset import Dataset, RetrievalDataset
from semrsm_cli.data.egoobjects import AspectRatio, EgoObjects, ImageFilter
from semrsm_cli.data.folder import Folder
from semrsm_cli.data.from_python import PythonDataset
from semrsm_cli.data.imagenet import ImageNet
from semrsm_cli.data.images import ImageError, ImageOrder, Images, OnError, name_unreadable, open_image
from semrsm_cli.data.photos import Photos, photos
from semrsm_cli.data.published import PUBLISHED, OwnFiles, PublishedDataset, files_of_split
from semrsm_cli.data.render import SceneSpec
from semrsm_cli.data.scenes import Scenes
from semrsm_cli.data.sets import (
    ClassifiedImages,
    LabelledImages,
    Metric,
    ResampleBy,
    RetrievalSet,
    RetrievalSplit,
    TrainingSet,
)
from semrsm_cli.data.split import read_split, split_validation, write_split
from semrsm_cli.data.tiny_imagenet import TinyImageNet

__all__ = [
    "AS_PUBLISHED",
    "DATASETS",
    "PUBLISHED",
    "AspectRatio",
    "Cifar100",
    "Cityscapes",
    "ClassSet",
    "ClassifiedImages",
    "Dataset",
    "EgoObjects",
    "Folder",
    "ImageError",
    "ImageFilter",
    "ImageNet",
    "ImageOrder",
    "Images",
    "LabelledImages",
    "Metric",
    "OnError",
    "OwnFiles",
    "Photos",
    "PublishedDataset",
    "PythonDataset",
    "ResampleBy",
    "RetrievalDataset",
    "RetrievalSet",
    "RetrievalSplit",
    "SceneSpec",
    "Scenes",
    "TinyImageNet",
    "TrainingSet",
    "batches_of_unrelated",
    "crop_pairs",
    "files_of_split",
    "name_unreadable",
    "open_image",
    "overlapping_crops",
    "photos",
    "read_split",
    "resized_squares",
    "split_validation",
    "write_split",
]

DATASETS: dict[str, type[Dataset]] = {
    "cifar100": Cifar100,
    "cityscapes": Cityscapes,
    "egoobjects": EgoObjects,
    "folder": Folder,
    "imagenet": ImageNet,
    "photos": Photos,
    "python": PythonDataset,
    "scenes": Scenes,
    "tiny_imagenet": TinyImageNet,
}
"""The settings of every data set by its name on the command line."""

AS_PUBLISHED: dict[str, Callable[[], OwnFiles]] = {
    "cifar100": Cifar100,
    "cityscapes": Cityscapes,
    "egoobjects": EgoObjects,
    "imagenet": ImageNet,
    "tiny_imagenet": TinyImageNet,
}
"""Those of the data sets of the paper, whose own files can be verified."""
