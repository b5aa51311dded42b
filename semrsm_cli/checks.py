"""Checks that settings share: each complaint begins with the setting's name and holds the value that it has."""

import math

__all__ = ["require", "require_at_least", "require_positive"]


def require(holds: bool, complaint: str) -> None:
    """Raise ValueError with `complaint` unless the condition holds."""
    if not holds:
        raise ValueError(complaint)


def require_at_least(least: int, settings: object, *names: str) -> None:
    """Raise ValueError unless the named settings, where they are given, are at least `least` and finite."""
    for name in names:
        value = getattr(settings, name)
        require(value is None or least <= value < math.inf, f"{name} must be at least {least}, got {value}")


def require_positive(settings: object, *names: str) -> None:
    """Raise ValueError unless the named settings, where they are given, are above 0 and finite."""
    for name in names:
        value = getattr(settings, name)
        require(value is None or 0 < value < math.inf, f"{name} must be above 0 and finite, got {value}")
