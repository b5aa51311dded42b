"""What `semrsm data` speaks of: data sets in folders or on the hub, and weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import humanize

from semrsm_cli.config import DataConfig
from semrsm_cli.data import AS_PUBLISHED
from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import Download, Offer, Repository
from semrsm_cli.report.progress import log, tracked

__all__ = ["Folder", "HubFiles", "Included", "Item", "OneFile"]

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Item(ABC):
    """A data set or the weights of a network.

    Attributes:
        name: What it is called on the command line.
        offer: What it is, and on what terms it is handed out.
    """

    name: str
    offer: Offer

    @abstractmethod
    def place(self) -> Path | None:
        """Where it lies, or would lie; None where that is not known."""

    @abstractmethod
    def state(self) -> str:
        """Whether it is here, as far as a glance tells."""

    @abstractmethod
    def verify(self) -> None:
        """Read all of it.

        Raises:
            SemrsmError: Something is missing or damaged.
        """

    @abstractmethod
    def fetch(self, config: DataConfig) -> None:
        """Fetch what is missing of it.

        Raises:
            SemrsmError: It cannot be had.
        """

    @abstractmethod
    def kind_of_place(self) -> str:
        """In whose cache it lies, in a word."""

    @property
    def is_here(self) -> bool:
        """Whether anything of it is here."""
        return self.state() != "missing"

    def is_accepted(self) -> bool:
        """Whether its licence was accepted, since it was fetched before."""
        return self.is_here


@dataclass(frozen=True, kw_only=True)
class HubFiles(Item):
    """Files of a repository of the Hugging Face hub."""

    repository: Repository

    def place(self) -> Path | None:
        """The folder of the commit that was fetched, else that of the repository in Hugging Face's cache."""
        record = self.repository.noted()
        return self.repository.folder if record is None else record.snapshot

    def kind_of_place(self) -> str:
        """Hugging Face's cache."""
        return "hub"

    def state(self) -> str:
        """Whether the files that were asked for lie there at their size."""
        record = self.repository.noted()
        if record is None:
            return "missing"
        return "partly" if record.missing() else "complete"

    def verify(self) -> None:
        """Compare all checksums with those that the hub told when they were fetched."""
        record = self.repository.noted()
        if record is None:
            raise SemrsmError(f"nothing of {self.name} was fetched; run semrsm data fetch {self.name}")
        wrong = {"missing": record.missing(), "damaged": record.damaged()}
        if any(wrong.values()):
            named = "; ".join(f"{len(names)} {how}, the first is {names[0]}" for how, names in wrong.items() if names)
            raise SemrsmError(
                f"of the {len(record.chosen)} files in {record.snapshot} are {named}; run {self._again()}"
            )

    def fetch(self, config: DataConfig) -> None:
        """Fetch the files of a split or all, at the commit that was noted, or that `revision` names."""
        plan = self.repository.plan(config.revision)
        size = humanize.naturalsize(plan.n_bytes)
        log(f"{self.repository.name} at {plan.commit} ({plan.revision}): {len(plan.chosen)} files, {size}")
        log(f"its card states the licence {plan.licence}")
        with _bar(self.name, plan.n_bytes, plan.n_bytes_done) as advance:
            self.repository.fetch(plan, advance)

    def _again(self) -> str:
        return f"semrsm data fetch {self.name}, which fetches these alone"


@dataclass(frozen=True, kw_only=True)
class OneFile(Item):
    """A file at a URL, such as torchvision's weights."""

    find: Callable[[], Download]
    """Tells the file; it needs a library that takes seconds to import."""

    def place(self) -> Path | None:
        """Where the file lies."""
        return self.find().path

    def kind_of_place(self) -> str:
        """The cache of torch."""
        return "torch"

    def state(self) -> str:
        """Whether it lies there; it gets its name when it is whole."""
        return "complete" if self.find().is_complete() else "missing"

    def verify(self) -> None:
        """Compare its checksum with that in its name."""
        file = self.find()
        if not file.is_complete():
            raise SemrsmError(f"{file.path} is missing; run semrsm data fetch {self.name}")
        if not file.is_as_published():
            raise SemrsmError(f"{file.path} is damaged; run semrsm data fetch {self.name}, which fetches it again")

    def fetch(self, config: DataConfig) -> None:
        """Fetch the file, unless it is whole."""
        file = self.find()
        if file.is_complete() and file.is_as_published():
            return
        file.path.unlink(missing_ok=True)
        log(f"{file.url}: about {humanize.naturalsize(self.offer.n_bytes)}")
        with _bar(self.name, self.offer.n_bytes, file.n_bytes_done) as advance:
            file.run(advance=advance)


@dataclass(frozen=True, kw_only=True)
class Included(Item):
    """What pip installs with semrsm."""

    def place(self) -> Path | None:
        """It lies among the installed packages."""
        return None

    def kind_of_place(self) -> str:
        """None of them."""
        return ""

    def state(self) -> str:
        """It cannot be missing."""
        return "with pip"

    def verify(self) -> None:
        """Pip has done so."""

    def fetch(self, config: DataConfig) -> None:
        """There is nothing to fetch."""


@dataclass(frozen=True, kw_only=True)
class Folder(Item):
    """A data set in a folder as its publishers hand it out; or else on the hub, or not to be had but by hand."""

    hub: HubFiles | None
    steps: tuple[str, ...]

    def place(self) -> Path | None:
        """The folder, else where the hub's files lie."""
        try:
            return AS_PUBLISHED[self.name]().place()
        except SemrsmError:
            return self.hub.place() if self.hub else None

    def kind_of_place(self) -> str:
        """A folder of its own, or the hub's cache."""
        return "hub" if self.hub is not None and not self._own_folder() else "folder"

    def state(self) -> str:
        """Whether there is such a folder; else what is here of the hub's files."""
        if self._own_folder():
            return "here"
        return self.hub.state() if self.hub else "missing"

    def verify(self) -> None:
        """Count what the folder holds; else verify the hub's files."""
        if self.hub is not None and not self._own_folder():
            return self.hub.verify()
        return AS_PUBLISHED[self.name]().verify()

    def fetch(self, config: DataConfig) -> None:
        """Fetch the hub's files; or tell the steps to take by hand."""
        if self.hub is not None:
            return self.hub.fetch(config)
        if self._own_folder():
            with suppress(SemrsmError):
                return self.verify()
        root = self.place() or f"$SEMRSM_DATA/{self.name}"
        log(f"{self.name} is handed out to people alone:")
        for i, step in enumerate(self.steps, 1):
            log(f"  {i}. {step.format(root=root)}")
        raise SemrsmError(f"{self.name} cannot be fetched for you; do so, then run semrsm data check {self.name}")

    def is_accepted(self) -> bool:
        """Whether there is nothing to accept here, or it was accepted."""
        return self.hub is None or self.hub.is_accepted()

    def _own_folder(self) -> bool:
        try:
            return AS_PUBLISHED[self.name]().place().is_dir()
        except SemrsmError:
            return False


@contextmanager
def _bar(name: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """Show how many MiB have come."""
    with tracked(f"{name}, MiB", total // _MIB, done=done // _MIB) as advance_by_mib:

        def advance(n: int) -> None:
            nonlocal done
            before, done = done, done + n
            advance_by_mib(done // _MIB - before // _MIB)

        yield advance
