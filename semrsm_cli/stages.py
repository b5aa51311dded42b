"""The versions of our own stages, which stand in every key of the store and in every run's record."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["VERSIONS", "versions_of"]

VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "images": 2,  # which images are drawn, in which order, and how their files become pictures
        "representations": 3,  # how a network sees a picture, and what is read of it
        "matching": 3,  # centring, and the inner products of matched images
        "measures": 2,  # kernels, scores, correlations, CKA, and their intervals
    }
)
"""Raised, in a commit that says why, when a stage gives other numbers; `tests/golden` notices when it does."""


def versions_of(*stages: str) -> dict[str, int]:
    """The versions of some stages, for a key that rests on them."""
    return {stage: VERSIONS[stage] for stage in stages}
