"""The storm in small: runs that are killed on one store, which is damaged, leave the bytes of undisturbed ones."""

import os
import random
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.store.arrays import CheckedArray

PATH = Path(__file__).parents[1] / "scripts" / "storm.py"
specification = spec_from_file_location("storm", PATH)
assert specification is not None
assert specification.loader is not None
script = module_from_spec(specification)
specification.loader.exec_module(script)


def test_every_way_of_damage_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(script.DAMAGES) == 8
    for how in script.DAMAGES:
        path = tmp_path / "tiles" / how.__name__
        array = CheckedArray.create(path, shape=(4, 2), chunks=(2, 2), dtype="float64", attributes={})
        array.write(np.full((2, 2), 1.0), 0, 0)
        array.write(np.full((2, 2), 2.0), 1, 0)
        how(sorted(path.glob("c/*/0")))
        found = CheckedArray.find(path)
        assert found is None or found.read(0, 0) is None or found.read(1, 0) is None, how


def test_a_store_without_chunks_is_not_damaged(tmp_path: Path) -> None:
    assert script.damage(tmp_path, random.Random(0)) == "nothing to damage"


def test_differences_are_named() -> None:
    assert script.differences({"a": b"1", "b": b"2"}, {"a": b"1", "b": b"3", "c": b""}) == ["b", "c"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_rounds_leave_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, str(PATH), "--rounds", "3", "--work", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rounds, 0 wrong" in done.stdout
