"""The mini-batches of `semrsm cka`: a random partition of the images that all networks share."""

import itertools

import numpy as np

from semrsm_cli.config import CkaConfig
from semrsm_cli.data import ImageOrder
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.cka import Estimator
from semrsm_cli.pipeline.sources import Source

__all__ = ["MIN_IMAGES", "mini_batches"]

MIN_IMAGES = {Estimator.biased: 2, Estimator.unbiased: 4}
"""Images that an estimator needs in a mini-batch."""


def mini_batches(a: Source, b: Source, config: CkaConfig, draw: int) -> list[np.ndarray]:
    """All images of a and b, as rows, in random mini-batches of at most `batch_images`, as equal as can be.

    Images that follow each other are often of one class or scene, and a mini-batch of these says less of the layers.
    Which images meet depends on the seed, the draw and their ids, not on where they stand; without ids, on their rows.
    A single mini-batch keeps their order, and so do all with `image_order=files`.

    Raises:
        SemrsmError: They are too few for the estimator.
    """
    n = a.n_images
    ends = np.linspace(0, n, -(-n // config.batch_images) + 1).round().astype(int).tolist()
    is_shuffled = len(ends) > 2 and config.image_order is ImageOrder.drawn
    order = _shuffle(n, a.ids or b.ids, config.seed, draw) if is_shuffled else np.arange(n)
    batches = [order[start:stop] for start, stop in itertools.pairwise(ends)]
    smallest = min(map(len, batches))
    if smallest < MIN_IMAGES[config.estimator]:
        raise SemrsmError(
            f"the {config.estimator} HSIC needs at least {MIN_IMAGES[config.estimator]} images in a mini-batch, got "
            f"{smallest}; give more images, or larger mini-batches with batch_images"
        )
    return batches


def _shuffle(n: int, ids: tuple[str, ...] | None, seed: int, draw: int) -> np.ndarray:
    """All rows in a random order, the same for the same ids in whatever order."""
    rows = range(n) if ids is None else sorted(range(n), key=ids.__getitem__)
    return np.random.default_rng([seed, draw]).permutation(rows)
