"""Hand a task over to Hydra: compose its config, run it or sweep, report bad settings."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from semrsm_cli.composition import HYDRA_VERSION_BASE, compose, on_one_line, register, suggest_quotes
from semrsm_cli.config.arguments import actions, as_override
from semrsm_cli.config.code import require_typed_code
from semrsm_cli.config.identity import identifying_settings
from semrsm_cli.config.presets import conf_folder
from semrsm_cli.config.renamed import RENAMED
from semrsm_cli.config_help import is_structured, settings
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.store import cache_folder, digest

__all__ = ["launch"]

_NO_RIGHT = (errno.EACCES, errno.EPERM)
_NO_WRITING = (errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMPYS_FULL_DISK = re.compile(r"Not enough free space|\d+ requested and \d+ written")  # an OSError without a number
_UNKNOWN = re.compile(r"Could not override '([\w.]+)'")
_ALIKE = 0.8  # of two names, of which one may be meant by the other
_SWEEP_SETTINGS = "multirun.yaml"  # Hydra writes it before the first job


def launch(name: str, argv: list[str]) -> None:
    """Run task `name` with Hydra's command line `argv`: flags first, then overrides.

    Raises:
        SemrsmError: The task ended in an error that the user can mend; a ConfigError where settings are wrong.
    """
    failures: list[SemrsmError] = []
    made = register(name)
    arguments = [as_override(name, argument) for argument in argv]
    job = _job(name, failures, typed={argument.partition("=")[0].lstrip("+") for argument in arguments})
    main = hydra.main(str(conf_folder()), config_name=name, version_base=HYDRA_VERSION_BASE)(job)
    with _hydra_process([f"semrsm {name}", *arguments, f"hydra.job.name={name}"]):
        try:
            with _explain_disk_errors():
                main()
        except OverrideParseException as error:
            if actions(name) and "=" not in error.override:
                known = ", ".join(actions(name))
                raise ConfigError(f"there is no {error.override}; choose from {known}") from error
            raise ConfigError(suggest_quotes(error, is_sweep="--multirun" in argv)) from error
        except (CompactHydraException, OmegaConfBaseException) as error:
            raise ConfigError(on_one_line(error) + _suggest_setting(name, error)) from error
        finally:
            for folder in made:
                _remove_unused(folder)
    if failures:
        raise failures[0]


def _remove_unused(folder: Path) -> None:
    """Remove the folder of a run or sweep that wrote nothing."""
    if [path.name for path in folder.glob("*")] == [_SWEEP_SETTINGS]:
        (folder / _SWEEP_SETTINGS).unlink()
    RunFolder(folder, command=[]).remove_if_empty()


@contextmanager
def _hydra_process(argv: list[str]) -> Iterator[None]:
    """Give hydra.main its command line, and let it raise errors instead of printing them."""
    old_argv, old_full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = old_argv
        if old_full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = old_full_error


def _job(name: str, failures: list[SemrsmError], typed: set[str]) -> Callable[[DictConfig], None]:
    """Task `name` as Hydra calls it; its module, and torch with it, loads when the settings hold.

    A single run hands an error over through `failures`, since Hydra prints a line of its own for one that it sees;
    in a sweep that line names the bad job. `typed` are the settings that stand on the command line itself.
    """
    places: list[str] = []

    def run(settings: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        command = [f"semrsm {name}", *hydra_config.overrides.task]
        places.append(hydra_config.runtime.output_dir)
        n = places.count(places[-1])  # of jobs that differ in nothing that names a folder
        folder = RunFolder(Path(places[-1], f"job_{n}" if n > 1 else ""), command=command)
        try:
            _require_sweep(hydra_config)
            require_typed_code(settings, typed)
            folder.settings = OmegaConf.to_yaml(settings)
            with _explain_disk_errors():
                _run_task(name, settings, folder)
        except SemrsmError as error:
            if hydra_config.mode != RunMode.RUN:
                raise
            failures.append(error)
        finally:
            folder.remove_if_empty()

    return run


def _require_sweep(hydra_config: Any) -> None:
    """Raise ConfigError where an experiment sweeps over a config group, but one job runs with no option of it named."""
    named = {override.partition("=")[0].lstrip("+") for override in hydra_config.overrides.task}
    choices, params = hydra_config.runtime.choices, hydra_config.sweeper.params or {}
    for group in params if hydra_config.mode == RunMode.RUN else ():
        if group in choices and group not in named:
            sweep, options = f"experiment={choices.experiment} is a sweep over", params[group].split(",")
            remedy = f"add --multirun, or choose one with {group}={options[0]}"
            raise ConfigError(f"{sweep} {len(options)} {group}s; {remedy}")


@contextmanager
def _explain_disk_errors() -> Iterator[None]:
    """Say on one line what a run may not read, or where it cannot write."""
    try:
        yield
    except OSError as error:
        full = _NUMPYS_FULL_DISK.search(str(error))
        if not full and error.errno not in _NO_RIGHT + _NO_WRITING:
            raise
        what = "read or write" if error.errno in _NO_RIGHT else "write"
        name = f" {error.filename}" if error.filename else ""
        raise SemrsmError(
            f"cannot {what}{name}: {error.strerror or error}; what is given needs your right to read, run folder and "
            f"store ({cache_folder()}) need room and your right to write: choose others by hydra.run.dir=DIR and "
            "SEMRSM_CACHE=DIR"
        ) from error


def _run_task(name: str, settings: DictConfig, folder: RunFolder) -> None:
    """Check the settings, run the task, close its folder, and print its table and where everything lies."""
    if missing := _missing_key(settings):
        raise ConfigError(f"{missing} has no default; give {missing}=VALUE")
    _check_settings(settings)
    config = OmegaConf.to_object(settings)
    _require_place(config)
    identity = identifying_settings(config)
    from semrsm_cli.cluster import engaged
    from semrsm_cli.report.tables import to_terminal

    task: Callable[..., Any] = getattr(import_module(f"semrsm_cli.tasks.{name}"), name)
    folder.note(settings=identity, settings_hash=digest(identity))
    with engaged(getattr(config, "cluster", None)) as session:
        table = task(config, folder)
        if session is not None:
            folder.note(cluster=session.facts)
    text = to_terminal(table) + "\n" if len(table) else ""
    if folder.is_kept:
        folder.finish()
        text += folder.listing() + "\n"
    sys.stdout.write(text)


def _require_place(config: Any) -> None:
    """Raise SemrsmError where images are needed, and it takes no heavy library to see that they are nowhere."""
    dataset = getattr(config, "dataset", None)
    if dataset is not None and not getattr(config, "x", None):  # arrays of one's own need no images
        dataset.require_place()


def _check_settings(settings: DictConfig, prefix: str = "") -> None:
    """Raise ConfigError where a group of settings does not hold, inner groups first; the message has the whole name."""
    for name in map(str, settings):
        if not OmegaConf.is_missing(settings, name) and is_structured(settings, name):
            _check_settings(settings[name], f"{prefix}{name}.")
    schema = OmegaConf.get_type(settings)
    unknown = [name for name in map(str, settings) if name not in get_type_hints(schema)]
    if unknown:
        raise ConfigError(f"there is no setting {prefix}{unknown[0]}; leave out the +")
    try:
        OmegaConf.to_object(settings)
    except OmegaConfBaseException as error:
        raise ConfigError(on_one_line(error)) from error
    except ValueError as error:
        raise ConfigError(f"{prefix}{error}") from error


def _suggest_setting(name: str, error: BaseException) -> str:
    """For a setting that task `name` does not know: those that may be meant."""
    unknown = _UNKNOWN.match(str(error))
    if not unknown:
        return ""
    config = compose(name).config
    known = [key for key, _, _ in settings(config)]
    last = unknown[1].rpartition(".")[2]
    near = [key for key in RENAMED.get(unknown[1], ()) if key in known]
    near = near or [new for old, names in RENAMED.items() for new in names if new in known and old.endswith(f".{last}")]
    near = near or [key for key in known if key.rpartition(".")[2] == last]
    near = near or [key for key in known if get_close_matches(last, [key.rpartition(".")[2]], cutoff=_ALIKE)]
    near = near or get_close_matches(unknown[1], {*known, *map(str, config)}, n=1)
    return f"; do you mean {' or '.join(near)}?" if near else f"; `semrsm {name} --help` lists all settings"


def _missing_key(settings: DictConfig) -> str | None:
    """The first setting that has no value, if there is one."""
    try:
        return min(OmegaConf.missing_keys(settings), default=None)
    except InterpolationToMissingValueError as error:  # says: ... Missing mandatory value: model.name
        return str(error).splitlines()[0].rpartition(" ")[2]
