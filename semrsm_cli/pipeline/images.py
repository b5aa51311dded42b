"""Open the set of images that the settings name, and note it."""

from dataclasses import replace
from pathlib import Path

from semrsm_cli import store
from semrsm_cli.data import Dataset, ImageOrder, Images, RetrievalSet, TrainingSet
from semrsm_cli.data.content import hash_file, pin
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log

__all__ = ["count_turned", "note_images", "open_images", "open_retrieval_set", "open_training_set"]


def open_images(dataset: Dataset, n: int | None = None, seed: int = 0, order: ImageOrder = ImageOrder.files) -> Images:
    """All images of a set, or n that `seed` draws, by default in the set's own order, which is easy to read.

    Says how many broken files it left out. What depends on which images follow each other takes `drawn`.
    """
    images = dataset.images(_made())
    _log_skipped(images.name, images)
    return _pin(images.draw(n, seed, order))


def open_retrieval_set(dataset: Dataset, seed: int, order: ImageOrder) -> RetrievalSet:
    """Queries and database images of a set; says how many broken files it left out."""
    images = dataset.retrieval_set(_made(), seed, order)
    for side in (images.queries, images.database):
        _log_skipped(images.name, side.images)
    queries, database = (replace(side, images=_pin(side.images)) for side in (images.queries, images.database))
    return replace(images, queries=queries, database=database)


def open_training_set(dataset: Dataset, val_fraction: float) -> TrainingSet:
    """Images with one class each, to train on and to validate with."""
    images = dataset.training_set(_made(), val_fraction)
    return TrainingSet(*(replace(side, images=_pin(side.images)) for side in (images.train, images.val)))


def note_images(folder: RunFolder, images: Images) -> None:
    """Tell run.json which images were used."""
    folder.note(
        n_images=len(images),
        image_ids_hash=store.digest(list(images.ids)),
        images_skipped=len(images.skipped),
        images_turned=count_turned(images),
        dataset=images.name,
    )


def count_turned(*sets: Images) -> int:
    """How many pictures EXIF turns or mirrors; another loader may take them as they lie in their files."""
    turned = {i for images in sets for i, header in zip(images.ids, images.headers, strict=True) if header.is_turned}
    return len(turned)


def _made() -> Path:
    """Where sets lie that are made when they are first asked for."""
    return store.cache_folder() / "scenes"


def _pin(images: Images) -> Images:
    """The images as they are now: what is computed is of these, or the run stops."""
    with store.FileHashes(hash_file) as remembered:
        return pin(images, remembered)


def _log_skipped(name: str, images: Images) -> None:
    if images.skipped:
        log(f"{name}: skipped {len(images.skipped)} unreadable images, the first is {images.skipped[0]}")
