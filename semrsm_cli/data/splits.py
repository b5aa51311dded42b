"""The names that the parts of a data set go by."""

__all__ = ["SPLITS", "spellings"]

SPLITS = {"train": ("train", "training"), "val": ("val", "validation", "valid"), "test": ("test", "testing")}


def spellings(split: str) -> tuple[str, ...]:
    """How a split may be called, first as it was given."""
    for names in SPLITS.values():
        if split in names:
            return (split, *(name for name in names if name != split))
    return (split,)
