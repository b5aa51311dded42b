"""What `semrsm data` does, and with which data set or weights."""

from dataclasses import dataclass
from enum import StrEnum

from semrsm_cli.checks import require
from semrsm_cli.config.comparison import Settings
from semrsm_cli.config.presets import presets
from semrsm_cli.data import PUBLISHED

__all__ = ["Action", "DataConfig"]


class Action(StrEnum):
    """What to do: `list` what there is and whether it is here, `check` that it is whole, or `fetch` it."""

    list = "list"
    check = "check"
    fetch = "fetch"


@dataclass(frozen=True, kw_only=True)
class DataConfig(Settings):
    """Settings of `semrsm data`."""

    action: Action = Action.list
    """`list`, `check` (count images, verify checksums; exit code 1 where something is missing or damaged) or `fetch`,
    also given without `action=`."""
    name: str | None = None
    """A data set of the paper, or the preset of a network whose weights are meant (clip, resnet18); also given without
    `name=`. By default all."""
    split: str | None = None
    """Fetch the files of this split of a data set only: train, val or test."""
    revision: str | None = None
    """Branch, tag or commit on the Hugging Face hub to fetch; by default the commit that the first fetch noted beside
    the data, which was then the newest."""
    accept: bool = False
    """Whether you accept the licence; `fetch` says which it is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [*PUBLISHED, *presets()]
        known = f"choose from {', '.join(names)}"
        actions = ", ".join(Action)
        require(self.name is None or self.name in names, f"there is no {self.name}; say {actions}, or {known}")
        require(self.action is not Action.fetch or self.name is not None, f"action=fetch needs to know what; {known}")
        require(
            self.split is None or self.name in PUBLISHED, f"split={self.split} is of a data set, not of {self.name}"
        )
