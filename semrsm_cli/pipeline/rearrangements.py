"""What a task lets positions do, row by row of its table, and how far they then move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from semrsm_cli.errors import ConfigError
from semrsm_cli.rsm import Invariance, Matcher
from semrsm_cli.rsm.movement import sample_movement

if TYPE_CHECKING:
    import pandas as pd

    from semrsm_cli.pipeline.grams import Comparison

__all__ = ["MOVEMENT", "Rearrangement", "informative", "movement_columns", "rearrangements", "require_places"]

MOVEMENT = ("locality", "displacement", "matched_share")
"""The last columns of tables."""


@dataclass(frozen=True)
class Rearrangement:
    """An invariance, of which `permutation` can make positions pay for their displacement."""

    invariance: Invariance
    locality: float = 0.0

    def __str__(self) -> str:
        """A name for files and for people: `permutation`, or `permutation_locality_2`."""
        return f"{self.invariance}_locality_{self.locality:g}" if self.locality else str(self.invariance)


def rearrangements(invariances: Sequence[Invariance], locality: Sequence[float]) -> list[Rearrangement]:
    """The invariances that were asked for, and behind `permutation` what lies between it and `none`."""
    found = []
    for invariance in invariances:
        found.append(Rearrangement(invariance))
        if invariance is Invariance.permutation:
            found += [Rearrangement(invariance, value) for value in sorted(set(locality)) if value]
    return found


def require_places(compared: "Comparison") -> tuple[int, int]:
    """The grid on which the positions lie.

    Raises:
        ConfigError: None is known.
    """
    if compared.places is None:
        raise ConfigError(
            f"locality needs the grid of {compared.name}'s positions, which is known for maps of CNNs and patches of "
            "transformers without a class token; set model.cls_token=drop, give grid=[height,width] with x=, or leave "
            "locality out"
        )
    return compared.places


def movement_columns(compared: "Comparison", moved: Rearrangement, matcher: Matcher) -> dict[str, float]:
    """The last columns of a table: locality, mean displacement of matched positions in diagonals, and their share.

    Of a sample of the pairs of images; NaN where positions are not matched, or lie on no grid that is known.
    """
    columns = dict.fromkeys(MOVEMENT, np.nan)
    if moved.invariance is Invariance.none:
        return columns | {"displacement": 0.0}
    if moved.invariance is not Invariance.permutation:
        return columns
    unit = None
    if compared.unit_of is not None and (moved.locality or matcher.floor is not None):
        unit = compared.unit_of.value
    found = sample_movement(
        compared.x,
        compared.y,
        matcher=matcher,
        grid=compared.places,
        grid_y=compared.places_y,
        locality=moved.locality,
        unit=unit,
    )
    return dict(zip(MOVEMENT, (moved.locality, found.displacement, found.matched_share), strict=True))


def informative(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table without those of its last columns that tell nothing where no locality, or no floor, was asked for."""
    silent = [] if (table["locality"] > 0).any() else list(MOVEMENT[:2])
    silent += [] if (table["matched_share"] < 1).any() else [MOVEMENT[2]]
    return table.drop(columns=silent)
