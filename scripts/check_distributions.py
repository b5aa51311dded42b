"""Check what pip is given: every file of the package and its settings, and nothing else of the package's.

Usage: python scripts/check_distributions.py DIST.whl DIST.tar.gz
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

BESIDE = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml"}


def main() -> None:
    """Check the distributions that are named."""
    tracked = set(_output("git", "ls-files", "semrsm_cli", "conf").split())
    for path in map(Path, sys.argv[1:]):
        if path.suffix == ".whl":
            held = set(zipfile.ZipFile(path).namelist())
            expected = {name if name.startswith("semrsm_cli") else f"semrsm_cli/{name}" for name in tracked}
            metadata = {name for name in held if ".dist-info/" in name}
        else:
            with tarfile.open(path) as archive:
                held = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}
            expected = tracked | BESIDE
            metadata = {name for name in held if not name.startswith(("semrsm_cli", "conf"))}
        missing, surplus = sorted(expected - held), sorted(held - metadata - expected)
        unwanted = [name for name in sorted(held) if PurePosixPath(name).suffix == ".pyc" or ".coverage" in name]
        if missing or surplus or unwanted:
            raise SystemExit(f"{path.name} lacks {missing}, and holds {surplus + unwanted} beside what belongs there")
        sys.stdout.write(f"{path.name}: {len(held)} files\n")


def _output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


main()
