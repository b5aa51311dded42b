"""The natural photographs that scikit-image's wheel brings."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from semrsm_cli.data.content import read_cached
from semrsm_cli.errors import SemrsmError

__all__ = ["Box", "photograph", "read_once"]

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge in pixels."""

read_once = read_cached(maxsize=16)


def photograph(name: str) -> Path:
    """Where a photograph lies inside the installed scikit-image.

    Raises:
        SemrsmError: scikit-image is installed without it.
    """
    spec = find_spec("skimage")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "data" / name
        if path.is_file():
            return path
    raise SemrsmError(
        f"scikit-image {version('scikit-image')} comes without data/{name}; install it again from its wheel"
    )
