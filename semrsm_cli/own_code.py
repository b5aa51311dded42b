"""Functions of the user's own that the command line names: found, run, and told apart by their source files.

What is hashed is what is run: the file that holds the function, and every file beside it that is imported on the way,
are read once, and run from these bytes, whatever a process imported before. So an edited file is another key of the
store, and a worker that lives on does not go on with the code of yesterday.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from semrsm_cli.errors import SemrsmError

__all__ = ["call_own", "explain_own", "own_label"]

_THIS = "semrsm_cli"
_INSTALLED = ("site-packages", "dist-packages")


def own_label(name: str) -> str:
    """What code is called in tables and keys: `net.py:build` of `path/to/net.py:build`, wherever the file lies."""
    location, _, function = name.rpartition(":")
    return f"{Path(location).name}:{function}" if location.endswith(".py") else name


def call_own(name: str, options: Mapping[str, Any], *, setting: str) -> tuple[Any, str]:
    """Run a function that the user names, and tell its source apart from any other.

    Args:
        name: `path/to/file.py:function`, or `package.module:function`, which is looked for in this folder, then where
            Python looks.
        options: Keyword arguments.
        setting: The setting that names it, for messages.

    Returns:
        What it returns, and the hash of the source files that it is made of; of an installed package its version.

    Raises:
        SemrsmError: There is no such file, module or function, or it fails.
    """
    location, _, function = name.rpartition(":")
    if not location or not function.isidentifier():
        raise SemrsmError(
            f"{setting}={name} names no function; write path/to/file.py:function or package.module:function"
        )
    root, module_name = _locate(location, setting)
    sources = {} if root is None else _own_sources(root, module_name)
    with _importable(root, sources):
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # whatever the user's code raises, a SyntaxError too
            raise SemrsmError(f"{location} cannot be imported: {explain_own(error)}") from error
        target = getattr(module, function, None)
        if not callable(target):
            known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
            raise SemrsmError(f"{location} has no function {function!r}, it has {', '.join(known[:10]) or 'none'}")
        try:
            result = target(**options)
        except SemrsmError:
            raise
        except Exception as error:
            shown = ", ".join(f"{key}={value}" for key, value in options.items())
            raise SemrsmError(f"{own_label(name)}({shown}) fails: {explain_own(error)}") from error
    return result, _hash(sources) if sources else _installed_version(module_name)


def explain_own(error: BaseException) -> str:
    """What went wrong in the user's code, and where, on one line: `KeyError: 'stem' (net.py, line 12)`."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
    package = str(Path(__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((package, "<")) and not _is_installed(Path(frame.filename))
    ]
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text


def _locate(location: str, setting: str) -> tuple[Path | None, str]:
    """The folder from which the names of modules count, and the module's name; no folder where it is installed."""
    if location.endswith(".py"):
        path = Path(location).expanduser()
        if not path.is_file():
            raise SemrsmError(f"there is no {location}; {setting} takes path/to/file.py:function")
        return path.resolve().parent, path.stem
    for folder in (Path.cwd(), *map(Path, sys.path)):
        if not _is_installed(folder) and _file_of(folder, location) is not None:
            return folder.resolve(), location
    return None, location


def _is_installed(path: Path) -> bool:
    """Whether a path lies where packages are installed, whose versions tell what they are."""
    return any(part in _INSTALLED for part in path.parts) or path.is_relative_to(sysconfig.get_path("stdlib"))


def _file_of(root: Path, name: str) -> Path | None:
    """The source file of a module below a folder."""
    place = root.joinpath(*name.split("."))
    return next((file for file in (place.with_name(f"{place.name}.py"), place / "__init__.py") if file.is_file()), None)


@dataclass(frozen=True)
class _Source:
    """A source file as it was read."""

    path: Path
    content: bytes


def _own_sources(root: Path, module: str) -> dict[str, _Source]:
    """The files below a folder that a module is made of, by the modules' names: itself, and what these import."""
    sources: dict[str, _Source] = {}
    left = [module]
    while left:
        name = left.pop()
        file = None if name in sources or name.partition(".")[0] == _THIS else _file_of(root, name)
        if file is not None:
            sources[name] = _Source(file, file.read_bytes())
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            left += [*_parents(name), *_imported(sources[name].content, package)]
    return sources


def _parents(name: str) -> list[str]:
    """The packages that a module lies in."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _imported(content: bytes, package: str) -> Iterator[str]:
    """The names of all modules that source code may import; none where it cannot be parsed, which the import says."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from (*_parents(name), name)


@contextmanager
def _importable(root: Path | None, sources: Mapping[str, _Source]) -> Iterator[None]:
    """Let imports find the user's files first, as they were read, and be forgotten afterwards: others may be alike."""
    if root is None:
        yield
        return
    finder, before = _Finder(sources), {name: sys.modules.pop(name) for name in sources if name in sys.modules}
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        sys.meta_path.remove(finder)
        for name in sources:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class _Finder(MetaPathFinder):
    """Finds the user's modules among files that were read."""

    def __init__(self, sources: Mapping[str, _Source]) -> None:
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to make a module."""
        source = self.sources.get(fullname)
        if source is None:
            return None
        return importlib.util.spec_from_file_location(
            fullname, source.path, loader=_Loader(fullname, str(source.path), source.content)
        )


class _Loader(SourceFileLoader):
    """Runs a file as it was read; Python's own would take a compiled file for it that is as old to the second."""

    def __init__(self, fullname: str, path: str, content: bytes) -> None:
        super().__init__(fullname, path)
        self.content = content

    def get_code(self, fullname: str) -> CodeType:
        """The compiled file."""
        code: CodeType = self.source_to_code(self.content, self.path)
        return code


def _hash(sources: Mapping[str, _Source]) -> str:
    """BLAKE2b hash over the names and bytes of source files, wherever these lie: 32 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=16)
    for name, source in sorted(sources.items()):
        state.update(f"{name} {len(source.content)};".encode() + source.content)
    return state.hexdigest()


def _installed_version(module: str) -> str:
    """The versions of the distributions that a module is installed with."""
    distributions = importlib.metadata.packages_distributions().get(module.partition(".")[0], [])
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(distributions)))
