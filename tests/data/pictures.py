"""Small pictures to fill folders with."""

from pathlib import Path

from PIL import Image


def picture(path: Path, shade: int = 0) -> Path:
    """Write a picture of one colour, in the format of the file's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(path)
    return path
