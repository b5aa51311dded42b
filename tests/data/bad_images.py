"""Image files that cannot be read, or should not be."""

import contextlib
import os
import socket
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from semrsm_cli.data import Folder
from semrsm_cli.data.images import open_image
from tests.data.bad_input import Case, Read, halve, then, write


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG file of 16-bit grey that announces this size."""
    stream = BytesIO()
    Image.fromarray(np.zeros((1, 1), np.uint16)).save(stream, "png")
    content = bytearray(stream.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def image_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        make(folder / name)
        return lambda: open_image(folder / name)

    return prepare


def listing_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        make(folder / name)
        return lambda: Folder(root=str(folder)).images(folder)

    return prepare


def saved(**options: Any) -> Callable[[Path], object]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return lambda path: Image.fromarray(noise).save(path, **options)


def bind(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:  # the path of a socket must be short
        server.bind(path.name)


def spoil_data(path: Path) -> None:
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + b"\xff" * (len(content) - start))


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
DDS = (
    b"DDS "
    + struct.pack("<7I", 124, 0x1007, 4, 4, 0, 0, 0)
    + bytes(44)
    + struct.pack("<II", 32, 4)
    + b"ZZZZ"
    + bytes(64)
)
NO_IMAGE = r"is no image; remove it, or set dataset.on_error=skip \(read are JPEG, PNG, .*\)"

IMAGES: list[Case] = [
    ("EPS named .png", image_of("x.png", write(POSTSCRIPT)), NO_IMAGE),
    ("DDS named .png", image_of("x.png", write(DDS)), NO_IMAGE),
    ("PSD named .png", image_of("x.png", write(b"8BPS\0\1" + bytes(60))), NO_IMAGE),
    ("text", image_of("x.jpg", write(b"This is\nno picture.")), NO_IMAGE),
    ("empty", image_of("x.webp", write(b"")), NO_IMAGE),
    (
        "16-bit bomb",
        image_of("x.png", write(png(13_000, 13_000))),
        "x.png has 13000 x 13000 pixels, more than dataset.max_pixels=134217728; raise that, scale it down, remove it",
    ),
    (
        "larger bomb",
        image_of("x.png", write(png(60_000, 60_000))),
        "x.png has far too many pixels, more than dataset.max_pixels=134217728",
    ),
    ("cut short", image_of("x.png", then(saved(), halve)), "x.png cannot be read: .*; remove it"),
    ("JPEG cut short", image_of("x.jpg", then(saved(), halve)), "x.jpg cannot be read: .*; remove it"),
    ("GIF cut short", image_of("x.gif", then(saved(), halve)), "x.gif cannot be read: .*; remove it"),
    ("TIFF cut short", image_of("x.tif", then(saved(compression="tiff_lzw"), halve)), "x.tif"),
    ("pipe", image_of("x.png", os.mkfifo), "cannot be read: it is a pipe, a socket or a device, not a file; remove it"),
    ("device", image_of("x.png", lambda path: path.symlink_to("/dev/zero")), "it is a pipe, a socket or a device"),
    ("socket", image_of("x.png", bind), "it is a pipe, a socket or a device"),
    ("folder", image_of("x.png", Path.mkdir), "cannot be read: Is a directory; remove it"),
    ("missing", image_of("x.png", lambda path: None), "cannot be read: No such file or directory; remove it"),
    ("name too long", image_of("x" * 300 + ".png", lambda path: None), "cannot be read: File name too long; remove it"),
    ("nothing but a pipe", listing_of("x.png", os.mkfifo), "no images in"),
]
if features.check("avif"):
    IMAGES.append(
        (
            "corrupt AVIF",
            image_of("x.avif", then(saved(), spoil_data)),
            "x.avif cannot be read: Failed to decode .*; remove it",
        )
    )
