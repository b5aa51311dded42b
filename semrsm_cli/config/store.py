"""What `semrsm store` does, and to what."""

import re
from dataclasses import dataclass
from enum import StrEnum

from semrsm_cli.checks import require
from semrsm_cli.config.comparison import Settings
from semrsm_cli.store import Kind

__all__ = ["Action", "StoreConfig"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d{1,6})([smhdw])")


class Action(StrEnum):
    """What to do with the store: `list` what it holds, `check` its checksums, or `clear` what is chosen."""

    list = "list"
    check = "check"
    clear = "clear"


@dataclass(frozen=True, kw_only=True)
class StoreConfig(Settings):
    """Settings of `semrsm store`."""

    action: Action = Action.list
    """`list`, `check` (verify all checksums; exit code 1 where something is damaged) or `clear`, also given without
    `action=`."""
    kind: Kind | None = None
    """Only such entries: `representations`, `tiles`, `training`, `scenes`, `hashes`, or what killed runs left
    `unfinished`."""
    key: str | None = None
    """Only entries whose key begins so."""
    older_than: str | None = None
    """Only entries that no run used for so long: 30d, 12h, 90m."""
    earlier: bool = False
    """Only entries that other versions of the program stored, which runs do not read."""
    dry_run: bool = False
    """Whether `clear` only says what it would remove."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.older_than is None or bool(_AGE.fullmatch(self.older_than)),
            f"older_than must be a number and s, m, h, d or w, such as 30d, got {self.older_than}",
        )
        chosen = self.earlier or (self.kind, self.key, self.older_than) != (None, None, None)
        require(
            self.action is not Action.clear or chosen,
            "action=clear needs to know what: give older_than=30d, kind=tiles, key=KEY or earlier=true; "
            "older_than=0s is everything",
        )

    @property
    def seconds(self) -> float:
        """How long an entry must not have been used."""
        age = _AGE.fullmatch(self.older_than or "0s")
        return int(age[1]) * _SECONDS[age[2]] if age else 0
