"""What a picture's file says of it before it is decoded."""

from dataclasses import dataclass

from PIL import ExifTags, Image

__all__ = ["Header", "read_header"]

_UPRIGHT, _ON_ITS_SIDE = 1, (5, 6, 7, 8)
_TURNED = range(2, 9)


@dataclass(frozen=True)
class Header:
    """Width and height in pixels of a picture as it is read, and whether EXIF turns or mirrors it for that."""

    width: int
    height: int
    is_turned: bool = False


def read_header(image: Image.Image) -> Header:
    """The header of an image that is open and not decoded."""
    # PNG's own getexif would decode the picture to look behind it
    orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, _UPRIGHT)
    width, height = image.size
    if orientation in _ON_ITS_SIDE and image.format != "TIFF":  # whose size is that of the picture shown already
        width, height = height, width
    return Header(width, height, orientation in _TURNED)
