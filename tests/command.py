"""The `semrsm` command inside a test: in a folder of its own, offline, and what its runs have in common."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner, Result

Command = Callable[..., Result]


@contextmanager
def command_in(folder: Path, cache: Path, *, is_drawn: bool = False) -> Iterator[Command]:
    """The `semrsm` command in a folder and with a store, 80 columns wide and offline.

    Figures are composed, but left blank unless they are to be drawn, which takes half the time of a small run. Settings
    are composed once, and not once more to look whether they say that this is a sweep, where nothing could say so.
    """
    from semrsm_cli.cli import app

    with pytest.MonkeyPatch.context() as patch:
        if not is_drawn:
            patch.setattr(Figure, "savefig", _leave_blank)
        patch.setattr(Hydra, "get_mode", _mode_where_told)
        patch.chdir(folder)
        patch.setenv("SEMRSM_CACHE", str(cache))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("COLUMNS", "80")
        patch.delenv("SEMRSM_DATA", raising=False)
        try:
            yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
        finally:
            for handler in logging.getLogger().handlers[:]:  # Hydra's handlers hold the runner's closed streams
                logging.getLogger().removeHandler(handler)


_get_mode = Hydra.get_mode


def _mode_where_told(hydra: Hydra, config_name: str | None, overrides: list[str]) -> object:
    """Whether to sweep, which no settings say but experiments and Hydra's own."""
    may_tell = any(override.lstrip("+").startswith(("experiment", "hydra.mode")) for override in overrides)
    return _get_mode(hydra, config_name, overrides) if may_tell else None


def _leave_blank(_: Figure, file: Path, **settings: object) -> None:
    """A blank picture in place of a figure, of the same bytes each time."""
    if settings["format"] == "png":
        Image.new("RGB", (64, 48), "white").save(file, "PNG")
    else:
        file.write_bytes(b"blank")


def succeed(result: Result) -> Result:
    """A run that has to end well."""
    assert result.exit_code == 0, result.output
    return result


def refuse(semrsm: Command, *arguments: object, complaint: str, exit_code: int) -> str:
    """What a command says that has to end with one line on what is wrong, and leaves no folder."""
    result = semrsm(*arguments)
    case = f"semrsm {' '.join(map(str, arguments))}\n{result.output}"
    assert result.exit_code == exit_code, case
    assert result.stderr.startswith(f"semrsm {arguments[0]}: "), case
    assert complaint in result.stderr, f"{complaint!r} is not said by {case}"
    assert result.stderr.count("\n") == 1, case
    assert not Path("outputs").exists(), case
    return result.stderr
