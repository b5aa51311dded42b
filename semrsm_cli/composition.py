"""The settings that a command line chooses, and the config groups it may choose from: what help and completion need."""

import json
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import CompactHydraException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from semrsm_cli.config.arguments import as_override
from semrsm_cli.config.presets import conf_folder
from semrsm_cli.config.schemas import register_schemas
from semrsm_cli.errors import ConfigError
from semrsm_cli.report.folder import file_name, new_folder

__all__ = ["HYDRA_VERSION_BASE", "Composition", "compose", "on_one_line", "register", "suggest_quotes"]

HYDRA_VERSION_BASE = "1.3"
_OPTIONS = "[!_.]*/[!_.]*.yaml"


class Composition(NamedTuple):
    """The options of every config group that a task knows, and its settings."""

    groups: dict[str, list[str]]
    config: DictConfig


def register(task: str) -> list[Path]:
    """Tell Hydra the schemas of a task, and OmegaConf the functions that YAML calls.

    Returns:
        The list of the folders that these functions will make.
    """
    register_schemas(task)
    made: list[Path] = []

    def new(path: str) -> str:
        try:
            path = new_folder(path)
        except OSError:  # Hydra tries again, and its error is explained
            return path
        made.append(Path(path))
        return path

    OmegaConf.register_new_resolver("new_folder", new, replace=True, use_cache=True)  # the same for all jobs
    OmegaConf.register_new_resolver("file_name", file_name, replace=True)
    return made


def compose(task: str, argv: Sequence[str] = ()) -> Composition:
    """The config groups of a task, and its settings with what `argv` chooses.

    Raises:
        ConfigError: What is chosen does not exist.
    """
    register(task)
    overrides = [as_override(task, argument) for argument in argv if "=" in argument and not argument.startswith("-")]
    folders = _config_folders(argv)
    if folders:
        overrides += [f"hydra.searchpath={json.dumps([f'file://{path}' for path in folders])}"]
    with hydra.initialize_config_dir(str(conf_folder()), version_base=HYDRA_VERSION_BASE):
        try:
            config = hydra.compose(task, overrides, return_hydra_config=True)
        except OverrideParseException as error:
            raise ConfigError(suggest_quotes(error, is_sweep=False)) from error
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(on_one_line(error)) from error
    choices = {group.partition("@")[0] for group in config.hydra.runtime.choices}
    groups = _groups([conf_folder(), *folders], task)
    with open_dict(config):
        del config["hydra"]
    return Composition({group: options for group, options in groups.items() if group in choices}, config)


def _config_folders(argv: Sequence[str]) -> list[Path]:
    """The folder that follows `--config-dir`, or stands behind its equals sign."""
    values = [value for flag, value in pairwise(argv) if flag == "--config-dir"]
    values += [argument.partition("=")[2] for argument in argv if argument.startswith("--config-dir=")]
    return [Path(value).absolute() for value in values]


def _groups(folders: Sequence[Path], task: str) -> dict[str, list[str]]:
    """The config groups in some folders, each with the options that a user may choose for a task."""
    options: dict[str, list[str]] = {}
    for path in [path for folder in folders for path in sorted(folder.glob(_OPTIONS))]:
        group = options.setdefault(path.parent.name, [])
        is_wanted = path.parent.name != "experiment" or path.stem.startswith(f"{task}_")
        if is_wanted and path.stem not in group:
            group.append(path.stem)
    return {group: names for group, names in sorted(options.items()) if names}


def suggest_quotes(error: OverrideParseException, *, is_sweep: bool) -> str:
    """What is wrong with a setting that Hydra cannot read, and the quoted form that it can, ready for a shell."""
    key, equals, value = error.override.partition("=")
    start, end = ("[", "]") if value.startswith("[") and value.endswith("]") else ("", "")
    items = value.removeprefix(start).removesuffix(end).split(",") if start or is_sweep else [value]
    quoted = f"{key}{equals}{start}{','.join(_quote(item.strip()) for item in items)}{end}"
    if value and _can_be_read(quoted):
        return f"cannot read {error.override}; quote it: {shlex.quote(quoted)}"
    return on_one_line(error)


def _quote(value: str) -> str:
    """A value in the quotes of Hydra's grammar, unless it is fine as it is."""
    return value if _can_be_read(f"key={value}") else QuotedString(value, Quote.double).with_quotes()


def _can_be_read(override: str) -> bool:
    """Whether an override follows Hydra's grammar."""
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def on_one_line(error: BaseException) -> str:
    """Hydra's message and its cause on one line, without the hints that do not hold here."""
    if isinstance(error, MissingConfigException) and error.options:
        return f"no config {error.missing_cfg_file!r}, choose from {', '.join(error.options)}"
    lines = str(error).strip().splitlines()[:1]
    if isinstance(error.__cause__, OmegaConfBaseException):
        lines += str(error.__cause__).splitlines()[:1]
    elif isinstance(error, CompactHydraException):
        lines += [line for line in str(error).splitlines()[1:] if "https://" not in line]
    return "; ".join(line.strip().rstrip(".") for line in lines if line.strip())
