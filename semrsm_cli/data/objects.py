"""The small things that made-up scenes consist of, cut out of the photographs that scikit-image's wheel brings."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semrsm_cli.data.photographs import Box, photograph, read_once

__all__ = ["OBJECTS", "background", "cut_out"]


@dataclass(frozen=True)
class _CutOut:
    """Where an object lies in a photograph, and whether it is round."""

    photograph: str
    box: Box
    is_round: bool = False


OBJECTS = {
    "face": _CutOut("astronaut.png", (150, 10, 305, 190), is_round=True),
    "flag": _CutOut("astronaut.png", (0, 0, 62, 110)),
    "space shuttle": _CutOut("astronaut.png", (345, 60, 475, 290)),
    "mission patch": _CutOut("astronaut.png", (124, 342, 214, 428), is_round=True),
    "name tag": _CutOut("astronaut.png", (274, 334, 332, 380)),
    "helmet": _CutOut("astronaut.png", (275, 340, 505, 512), is_round=True),
    "cameraman": _CutOut("camera.png", (150, 60, 330, 240)),
    "tower": _CutOut("camera.png", (395, 105, 505, 240)),
    "cat": _CutOut("chelsea.png", (90, 40, 380, 300), is_round=True),
    "cup": _CutOut("coffee.png", (165, 10, 425, 225), is_round=True),
    "spoon": _CutOut("coffee.png", (318, 232, 412, 332), is_round=True),
    "coin": _CutOut("coins.png", (305, 10, 367, 76), is_round=True),
    "galaxies": _CutOut("hubble_deep_field.jpg", (620, 400, 800, 620)),
    "cells": _CutOut("ihc.png", (250, 300, 390, 510), is_round=True),
    "wheel": _CutOut("motorcycle_left.png", (118, 236, 284, 408), is_round=True),
    "engine": _CutOut("motorcycle_left.png", (330, 238, 480, 386)),
    "headlamp": _CutOut("motorcycle_left.png", (492, 112, 572, 198), is_round=True),
    "cardboard box": _CutOut("motorcycle_left.png", (525, 25, 597, 100)),
    "fuel tank": _CutOut("motorcycle_left.png", (375, 150, 500, 245)),
    "bench": _CutOut("motorcycle_left.png", (60, 105, 210, 215)),
    "page": _CutOut("page.png", (0, 0, 250, 150)),
    "retina": _CutOut("retina.jpg", (0, 0, 1411, 1411), is_round=True),
    "rocket": _CutOut("rocket.jpg", (270, 115, 372, 330)),
    "lamp post": _CutOut("rocket.jpg", (60, 300, 230, 427)),
}

_SURFACES = ("brick.png", "grass.png", "gravel.png")
"""Photographs of surfaces, all grey: what lies on them is not to be told from them."""

_CONTRAST = 0.6
_WHITE = 255

_Shades = npt.NDArray[np.float64]


@cache
def cut_out(name: str, size: int) -> Image.Image:
    """The object as RGBA, as large as a square of `size` pixels."""
    source = OBJECTS[name]
    picture = read_once(photograph(source.photograph))[0].crop(source.box)
    mask = Image.new("L", picture.size, 0 if source.is_round else _WHITE)
    if source.is_round:
        ImageDraw.Draw(mask).ellipse((0, 0, picture.width - 1, picture.height - 1), fill=_WHITE)
    picture.putalpha(mask)
    scale = size / (picture.width * picture.height) ** 0.5
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def background(size: tuple[int, int], *, is_busy: bool, rng: np.random.Generator) -> Image.Image:
    """A surface in a colour of its own: nearly even, or a photograph of bricks, grass or gravel."""
    shades = _photographed(size, rng) if is_busy else _clouds(size, rng)
    colour = rng.uniform(0.35, 0.85) * rng.uniform(0.75, 1.15, 3)
    grain = rng.normal(0, 4, shades.shape)
    pixels = (shades + grain)[:, :, None] * colour
    return Image.fromarray(np.clip(pixels, 0, _WHITE).astype(np.uint8))


def _photographed(size: tuple[int, int], rng: np.random.Generator) -> _Shades:
    """The grey values of a part of a photographed surface, brought to one mean."""
    picture = read_once(photograph(str(rng.choice(_SURFACES))))[0].convert("L")
    width = int(rng.integers(picture.width // 2, picture.width))
    height = width * size[1] // size[0]
    left, upper = (int(rng.integers(0, free + 1)) for free in (picture.width - width, picture.height - height))
    part = picture.resize(size, Image.Resampling.BICUBIC, box=(left, upper, left + width, upper + height))
    shades: _Shades = np.asarray(part, dtype=np.float64)
    return 190 + _CONTRAST * (shades - float(shades.mean()))


def _clouds(size: tuple[int, int], rng: np.random.Generator) -> _Shades:
    """Grey values that change slowly."""
    coarse = Image.fromarray(rng.normal(190, 15, (5, 8)).astype(np.float32))
    shades: _Shades = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    return shades
