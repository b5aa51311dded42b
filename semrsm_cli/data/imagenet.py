"""ImageNet-1k and Tiny-ImageNet-200 in the layouts in which they are handed out."""

from pathlib import Path

from semrsm_cli.data.folders import images_in
from semrsm_cli.data.hub import hub_images
from semrsm_cli.data.images import Images, OnError, dataset_root
from semrsm_cli.data.splits import SPLITS, spellings
from semrsm_cli.errors import SemrsmError

__all__ = ["imagenet", "tiny_imagenet"]

IMAGENET_LAYOUTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")
TINY_IMAGENET_LAYOUTS = ("", "tiny-imagenet-200")


def imagenet(
    root: Path | str | None, *, split: str, hub: str | None = None, on_error: OnError = OnError.stop
) -> Images:
    """The images of one split of ImageNet-1k, sorted by path and without labels.

    Read are `<root>/<split>` and Kaggle's `<root>/ILSVRC/Data/CLS-LOC/<split>`, with a folder for each class or flat,
    as the test split is; a root without any split is taken as the split itself.

    Args:
        root: The folder; `imagenet` in $SEMRSM_DATA if None.
        split: `train`, `val` or `test`.
        hub: Hugging Face id, or local copy of such a data set, to read instead of `root`.
        on_error: What to do with broken files.

    Raises:
        SemrsmError: The folder, the split or its images are missing.
    """
    if hub is not None:
        return hub_images("imagenet", hub, split, on_error=on_error)
    return split_images("imagenet", dataset_root(root, "imagenet"), split, IMAGENET_LAYOUTS, on_error)


def tiny_imagenet(
    root: Path | str | None, *, split: str, hub: str | None = None, on_error: OnError = OnError.stop
) -> Images:
    """The images of one split of Tiny-ImageNet-200, 64 x 64 pixels, sorted by path and without labels.

    Args:
        root: The folder that holds `train`, `val` and `test`; `tiny-imagenet-200` in $SEMRSM_DATA if None.
        split: `train`, `val` or `test`.
        hub: Hugging Face id, or local copy of such a data set, to read instead of `root`.
        on_error: What to do with broken files.

    Raises:
        SemrsmError: The folder, the split or its images are missing.
    """
    if hub is not None:
        return hub_images("tiny_imagenet", hub, split, on_error=on_error)
    return split_images(
        "tiny_imagenet", dataset_root(root, "tiny-imagenet-200"), split, TINY_IMAGENET_LAYOUTS, on_error
    )


def split_images(name: str, root: Path, split: str, layouts: tuple[str, ...], on_error: OnError) -> Images:
    """The images of a split, whatever the layout; of the root where it has no splits."""
    below = split_folder(root, split, layouts)
    others = [other for other in SPLITS if split_folder(root, other, layouts)]
    if below is None and others:
        raise SemrsmError(f"{root} has no split {split!r}; it holds {', '.join(others)}")
    return images_in(name, root, below or root, on_error=on_error)


def split_folder(root: Path, split: str, layouts: tuple[str, ...]) -> Path | None:
    """Where a split lies in the first layout that has it."""
    places = [root / layout / spelling for layout in layouts for spelling in spellings(split)]
    return next((place for place in places if place.is_dir()), None)
