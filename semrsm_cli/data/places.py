"""Where data sets lie."""

import os
from pathlib import Path

from semrsm_cli.errors import SemrsmError

__all__ = ["dataset_root"]


def dataset_root(
    root: Path | str | None, folder: str, variable: str | None = None, *, published_as: str | None = None
) -> Path:
    """Where a data set lies: at `root`, else at the environment's `variable`, else at `folder` in $SEMRSM_DATA.

    Args:
        root: The setting.
        folder: Its usual name.
        variable: One in the environment that names it.
        published_as: What `semrsm data` calls it.

    Returns:
        The folder.

    Raises:
        SemrsmError: None of them is given, or it is no folder.
    """
    home = os.environ.get("SEMRSM_DATA")
    own = os.environ.get(variable) if variable else None
    fetch = f"run semrsm data fetch {published_as}, " if published_as else ""
    if root is not None:
        instead = f"run semrsm data fetch {published_as} and leave dataset.root out, or " if published_as else ""
        place, remedy = Path(root), f"{instead}set dataset.root to the folder that holds the images"
    elif own:
        place, remedy = Path(own), f"{fetch}set {variable} or dataset.root to the folder that holds them"
    elif home:
        place, remedy = Path(home) / folder, f"{fetch}put {folder} into SEMRSM_DATA, or set dataset.root"
    else:
        raise SemrsmError(
            f"where {folder} lies is not known; {fetch}set dataset.root=DIR, or SEMRSM_DATA to its parent folder"
        )
    place = place.expanduser()
    if not place.is_dir():
        raise SemrsmError(f"{place} {'is a file, not a folder' if place.exists() else 'does not exist'}; {remedy}")
    return place
