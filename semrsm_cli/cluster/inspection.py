"""What a worker says of itself before it is given work; sent to it as code, since it may lack the package.

Nothing of the package may be imported at the head of this module.
"""

import asyncio
import hashlib
import importlib
import importlib.metadata
import os
import platform
import socket
from pathlib import Path
from typing import Any

__all__ = ["CORES", "cores_of", "describe_worker", "forbid_work", "versions"]

CORES = "semrsm-cores"  # the resource that tells how many of a worker's threads may compute; without it, all
_LIBRARIES = ("numpy", "scipy", "numba", "torch", "zarr")


def versions() -> dict[str, str]:
    """The versions of the package, of its sources, and of the libraries that compute."""
    try:
        package = importlib.import_module("semrsm_cli")
    except ImportError:
        return {"semrsm": "none"}
    sources = hashlib.blake2b(digest_size=8)
    folder = Path(str(package.__file__)).parent
    for path in sorted(folder.rglob("*.py")):
        sources.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    found = {"semrsm": str(package.__version__), "semrsm's sources": sources.hexdigest()}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            found[library] = "none"
    return found


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def cores_of(dask_worker: Any) -> int:
    """How many threads of a worker may compute at once; one more reads and writes meanwhile."""
    state = dask_worker.state
    return int(state.total_resources.get(CORES, state.nthreads))


async def describe_worker(
    expected: dict[str, str], here: str, resource: str, at_once: int, dask_worker: Any
) -> dict[str, Any]:
    """Host and processor of a worker, and why it cannot work for this run, if so; else it may from now on."""
    found = await asyncio.to_thread(versions)
    refusal = ""
    different = [name for name in expected if found.get(name, "none") != expected[name]]
    if different:
        name = different[0]
        refusal = f"it has {name} {found.get(name, 'none')}, this run {expected[name]}"
    elif not os.path.isfile(here):  # noqa: PTH113
        store = os.path.dirname(os.path.dirname(here))  # noqa: PTH120
        refusal = f"it does not see the store {store}, which must lie on a file system that all share"
    if not refusal:
        await dask_worker.set_resources(**{resource: min(at_once, int(dask_worker.state.nthreads))})
    return {
        "host": socket.gethostname(),
        "processor": processor(),
        "cores": cores_of(dask_worker),
        "refusal": refusal,
    }


async def forbid_work(resource: str, dask_worker: Any) -> None:
    """Take away what `describe_worker` gave."""
    await dask_worker.set_resources(**{resource: 0})
