"""What the command line loads before it needs it: help and wrong settings answer without the heavy libraries."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_HEAVY = ("numba", "torch", "torchvision", "pandas", "matplotlib", "dask", "transformers", "zarr")
_LOADED = """
import json, sys
from semrsm_cli.cli import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
print(json.dumps({"code": code, "loaded": [name for name in HEAVY if name in sys.modules]}))
"""


def _loaded(*arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command in a process of its own, and which of the heavy libraries it has loaded."""
    script = f"HEAVY = {_HEAVY!r}\n{_LOADED}"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    return last["code"], last["loaded"]


@pytest.mark.parametrize("task", ["retrieve", "cka", "train", "report"])
def test_help_loads_no_heavy_library(task: str) -> None:
    """`--help` of a task composes its settings, and no more."""
    assert _loaded(task, "--help") == (0, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ("retrieve", "n_querie=3"),  # an unknown setting
        ("retrieve", "n_neighbours=0"),  # a value out of its limits
        ("cka", "model=resnet19"),  # an unknown option of a group
        ("correlate", "x=mine.npy"),  # settings that belong together
    ],
)
def test_wrong_settings_are_refused_before_heavy_libraries_load(arguments: tuple[str, ...]) -> None:
    """A wrong setting ends with 2 before torch, which takes seconds, is imported."""
    assert _loaded(*arguments) == (2, [])


@pytest.mark.parametrize("dataset", ["folder", "cityscapes", "egoobjects", "imagenet"])
def test_a_folder_that_is_not_there_is_named_before_heavy_libraries_load(dataset: str, tmp_path: Path) -> None:
    """What takes seconds is not loaded to say that there is nothing to read."""
    assert _loaded("retrieve", f"dataset={dataset}", f"dataset.root={tmp_path / 'nowhere'}") == (1, [])


def test_own_arrays_are_compared_without_torch(tmp_path: Path) -> None:
    """An RSM of a small array takes no network, and does not wait for what networks need."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(4, 3, 2)))
    code, loaded = _loaded("rsm", f"x={tmp_path / 'x.npy'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert code == 0
    assert {"torch", "torchvision", "transformers"} & {*loaded} == set()
