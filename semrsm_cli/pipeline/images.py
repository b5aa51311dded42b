"""Open the set of images that the settings name, and note it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from semrsm_cli import store
from semrsm_cli.data import Dataset, ImageOrder, Images, RetrievalSet, TrainingSet
from semrsm_cli.data.content import hash_file, pin
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log

__all__ = [
    "count_turned",
    "draw_apart",
    "note_images",
    "open_draws",
    "open_images",
    "open_retrieval_set",
    "open_training_set",
]


def open_images(dataset: Dataset, n: int | None = None, seed: int = 0, order: ImageOrder = ImageOrder.files) -> Images:
    """All images of a set, or n that `seed` draws, by default in the set's own order, which is easy to read.

    Says how many broken files it left out. What depends on which images follow each other takes `drawn`.
    """
    images = dataset.images(_made())
    _log_skipped(images.name, images)
    return _pin(images.draw(n, seed, order))


def open_draws(dataset: Dataset, n: int | None, n_draws: int, seed: int, order: ImageOrder) -> list[Images]:
    """Several draws of n images of a set, as `draw_apart` makes them; says how many broken files it left out."""
    images = dataset.images(_made())
    _log_skipped(images.name, images)
    return [_pin(drawn) for drawn in draw_apart(images, n, n_draws, seed, order)]


def draw_apart(images: Images, n: int | None, n_draws: int, seed: int, order: ImageOrder) -> list[Images]:
    """Several draws of n images, the first that of `Images.draw`; one alone where they are all images.

    They share no images where there are n_draws * n, so that what is measured of each differs as much as between any
    sets of n such images. Else the later ones take up images of the earlier ones, and differ less.
    """
    first = images.draw(n, seed, order)
    if len(first) == len(images):
        return [first]
    taken = set(first.ids)
    is_taken = np.array([image_id in taken for image_id in images.ids])
    rng = np.random.default_rng([seed, 1])
    sequence = np.concatenate([rng.permutation(np.flatnonzero(where)) for where in (is_taken, ~is_taken)])
    rows = np.resize(sequence, (n_draws, len(first)))  # from its beginning again where it ends
    return [first, *(images.select(order.arrange(of_draw)) for of_draw in rows[1:].tolist())]


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
