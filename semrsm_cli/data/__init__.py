"""Sets of images in their native layouts."""

from semrsm_cli.data.cifar100 import cifar100
from semrsm_cli.data.cityscapes import ClassSet, cityscapes, cityscapes_images
from semrsm_cli.data.classes import (
    ClassifiedImages,
    TrainingSet,
    classified_folder,
    classified_imagenet,
    classified_tiny_imagenet,
    held_out,
    scene_objects,
)
from semrsm_cli.data.crops import batches_of_unrelated, crop_pairs, overlapping_crops, resized_squares
from semrsm_cli.data.egoobjects import AspectRatio, Selection, egoobjects, egoobjects_images
from semrsm_cli.data.folders import folder
from semrsm_cli.data.imagenet import imagenet, tiny_imagenet
from semrsm_cli.data.images import Images, OnError, open_image
from semrsm_cli.data.labels import labelled_folder
from semrsm_cli.data.photos import photos
from semrsm_cli.data.retrieval import Draw, LabelledImages, Metric, RetrievalSet, read_draw, write_draw
from semrsm_cli.data.scenes import Filming, scenes, scenes_images

__all__ = [
    "AspectRatio",
    "ClassSet",
    "ClassifiedImages",
    "Draw",
    "Filming",
    "Images",
    "LabelledImages",
    "Metric",
    "OnError",
    "RetrievalSet",
    "Selection",
    "TrainingSet",
    "batches_of_unrelated",
    "cifar100",
    "cityscapes",
    "cityscapes_images",
    "classified_folder",
    "classified_imagenet",
    "classified_tiny_imagenet",
    "crop_pairs",
    "egoobjects",
    "egoobjects_images",
    "folder",
    "held_out",
    "imagenet",
    "labelled_folder",
    "open_image",
    "overlapping_crops",
    "photos",
    "read_draw",
    "resized_squares",
    "scene_objects",
    "scenes",
    "scenes_images",
    "tiny_imagenet",
    "write_draw",
]
