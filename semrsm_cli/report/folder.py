"""The folder of one run: settings, tables, figures, arrays and provenance."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from semrsm_cli.files import atomic, remove_unfinished
from semrsm_cli.stages import VERSIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from PIL.Image import Image

__all__ = ["RunFolder", "file_name", "new_folder"]

_LIBRARIES = (
    *("semrsm", "numpy", "scipy", "numba", "torch", "torchvision", "lightning", "timm", "transformers"),
    *("hydra-core", "zarr"),
)
_FIGURE_FORMATS: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}}
_FIGURE_DPI = 200
_THUMBNAIL_QUALITY = 85
_NO_NAME = re.compile(r"[/\x00-\x1f\x7f\ud800-\udfff]")  # leads elsewhere, or cannot be written
_LONGEST_NAME = 255  # bytes


class RunFolder:
    """Writes the results of a run; every file appears as a whole.

    Args:
        path: The folder; created with the first file.
        command: Command line, for run.json.
        settings: Text of config.yaml.

    Attributes:
        facts: What run.json holds besides versions, machine, seconds and memory.
        written: Files so far.
        is_kept: Whether the run leaves a folder.
    """

    def __init__(self, path: Path, *, command: list[str], settings: str = "") -> None:
        self.path = path
        self.settings = settings
        self.facts: dict[str, Any] = {"command": command}
        self.seconds: dict[str, float] = {}
        self.written: list[Path] = []
        self.is_kept = True
        self._start = time.perf_counter()

    def note(self, **facts: Any) -> None:
        """Add facts to run.json: hashes, seeds, counts."""
        self.facts.update(facts)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the seconds of a step to run.json."""
        start = time.perf_counter()
        yield
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.perf_counter() - start, 3)

    def table(self, name: str, frame: "DataFrame", *, note: str = "") -> None:
        """Write tables/NAME.csv with its Markdown and LaTeX twins, which have the note below."""
        from semrsm_cli.report.tables import FORMATS  # pandas loads only for tables, not where settings are wrong

        for suffix in FORMATS:
            self._write_table(name, frame, suffix, note)

    def data(self, name: str, frame: "DataFrame") -> None:
        """Write tables/NAME.csv alone: the numbers behind a figure, too many to print."""
        self._write_table(name, frame, "csv", "")

    def figure(self, name: str, figure: "Figure") -> None:
        """Write figures/NAME.png and .pdf; the bytes depend on the picture alone."""
        for suffix, metadata in _FIGURE_FORMATS.items():
            save = partial(figure.savefig, format=suffix, dpi=_FIGURE_DPI, bbox_inches="tight", metadata=metadata)
            self._write("figures", name, f".{suffix}", save)

    def thumbnail(self, name: str, image: "Image") -> None:
        """Write thumbnails/NAME.jpg."""
        self._write("thumbnails", name, ".jpg", lambda path: image.save(path, "JPEG", quality=_THUMBNAIL_QUALITY))

    def array(self, name: str, array: np.ndarray) -> None:
        """Write arrays/NAME.npy."""

        def save(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)

        self._write("arrays", name, ".npy", save)

    def text(self, name: str, text: str) -> None:
        """Write a text file such as a list of ids."""
        self._write("", name, "", lambda path: path.write_text(text, encoding="utf-8"))

    def file(self, name: str, content: bytes) -> None:
        """Write any other file, such as a network's weights."""
        self._write("", name, "", lambda path: path.write_bytes(content))

    def finish(self) -> None:
        """Write config.yaml and run.json."""
        if self.settings:
            self.text("config.yaml", self.settings)
        self.text("run.json", json.dumps(self._provenance(), indent=2, sort_keys=True, default=str) + "\n")

    def discard(self) -> None:
        """Nothing of this run is to be kept, since it computed nothing."""
        self.is_kept = False

    def listing(self) -> str:
        """The files to look at, for the terminal."""
        pages = [path for path in self.written if path.suffix == ".html"]
        figures = [path for path in self.written if path.suffix == ".png"]
        tables = [path for path in self.written if path.suffix == ".csv"]
        arrays = [path for path in self.written if path.suffix in (".npy", ".safetensors")]
        lines = [f"{self._shown(self.path)}/"]
        lines += [f"  {path.relative_to(self.path)}" for path in (*pages, *tables, *figures, *arrays[:3])]
        if len(arrays) > 3:
            lines.append(f"  ... and {len(arrays) - 3} more arrays")
        return "\n".join(lines)

    def remove_if_empty(self) -> None:
        """After a run that wrote nothing, remove its folder and the parents that are then empty."""
        if self.written:
            return
        folder = self.path
        with suppress(OSError):
            for _ in range(3):  # time, task, outputs
                folder.rmdir()
                folder = folder.parent

    def _write_table(self, name: str, frame: "DataFrame", suffix: str, note: str) -> None:
        from semrsm_cli.report.tables import FORMATS

        text = FORMATS[suffix](frame, note)
        self._write("tables", name, f".{suffix}", lambda path: path.write_text(text, encoding="utf-8"))

    def _write(self, kind: str, name: str, suffix: str, write: Callable[[Path], object]) -> None:
        """Write the file `name` of a kind; names may come from foreign tables, and never lead out of the folder."""
        final = self.path / kind / file_name(name, suffix)
        if not Path(os.path.normpath(final)).is_relative_to(os.path.normpath(self.path)):
            raise ValueError(f"{final} does not lie in {self.path}")
        final.parent.mkdir(parents=True, exist_ok=True)
        if not self.written:  # an earlier run into the same folder does not vouch for this one
            (self.path / "run.json").unlink(missing_ok=True)
            remove_unfinished(self.path)
        with atomic(final) as unfinished:
            write(unfinished)
        if final not in self.written:
            self.written.append(final)

    def _provenance(self) -> dict[str, Any]:
        from semrsm_cli.rsm.threads import available_cores  # brings numba, which `semrsm --help` needs not

        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return {
            "versions": {name: _installed_version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
            "stages": dict(VERSIONS),
            "machine": {"system": platform.platform(), "cores": psutil.cpu_count(), "usable_cores": available_cores()},
            "seconds": self.seconds | {"total": round(time.perf_counter() - self._start, 3)},
            "peak_memory_mib": round(peak_kib / 1024),
        } | self.facts

    def _shown(self, path: Path) -> str:
        with suppress(ValueError):
            return str(path.relative_to(Path.cwd()))
        return str(path)


def new_folder(path: str) -> str:
    """Make the folder `path`, or `path_2`, `path_3` and so on where others were there before; returns which."""
    folder, number = Path(path), 1
    while True:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
            return str(folder)
        except FileExistsError:
            number += 1
            folder = Path(f"{path}_{number}")


def file_name(name: str, suffix: str = "") -> str:
    """The name of a file or folder for any text: as it is where it can be, else without what leads elsewhere.

    A changed name ends in a hash, so that different texts have different names.
    """
    whole = name + suffix
    if whole not in (".", "..") and not _NO_NAME.search(whole) and len(os.fsencode(whole)) <= _LONGEST_NAME:
        return whole
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    shown = _NO_NAME.sub("_", name).encode()[:200].decode(errors="ignore")
    return f"{shown}_{digest}{suffix}"


def _installed_version(library: str) -> str | None:
    """Version of an installed library."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
