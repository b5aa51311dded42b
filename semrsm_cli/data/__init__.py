"""Sets of images in their native layouts."""

from semrsm_cli.data.crops import batches_of_unrelated, crop_pairs, overlapping_crops, resized_squares
from semrsm_cli.data.folders import folder
from semrsm_cli.data.imagenet import imagenet, tiny_imagenet
from semrsm_cli.data.images import Images, OnError, open_image
from semrsm_cli.data.photos import photos

__all__ = [
    "Images",
    "OnError",
    "batches_of_unrelated",
    "crop_pairs",
    "folder",
    "imagenet",
    "open_image",
    "overlapping_crops",
    "photos",
    "resized_squares",
    "tiny_imagenet",
]
