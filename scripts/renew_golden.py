"""Write the main numbers of the default runs to tests/golden, after a change that moves them on purpose.

    python scripts/renew_golden.py

Numbers that moved are written only where semrsm_cli/stages.py has a higher version of some stage than they were made
with; they belong into a commit of their own that says why they moved.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import json

import pandas as pd

from semrsm_cli.stages import VERSIONS
from tests.command import command_in, succeed
from tests.golden import GOLDEN, TABLES, VERSIONS_FILE, differences, golden_numbers, read_versions


def main() -> None:
    """Run every task once in an empty folder with a new store, and write what moved."""
    found = _run_all()
    is_new = not VERSIONS_FILE.exists()
    moved = [] if is_new else [line for task, numbers in found.items() for line in differences(task, numbers)]
    sys.stdout.write("\n".join(moved or ["no number has moved"]) + "\n")
    if moved and not _is_raised(read_versions()):
        sys.exit("no stage has a higher version than before: raise the one that gives other numbers, in stages.py")
    for task, numbers in found.items():
        numbers.to_csv(GOLDEN / f"{task}.csv", index=False, float_format="%.10g", lineterminator="\n")
    VERSIONS_FILE.write_text(json.dumps(dict(VERSIONS), indent=2) + "\n", encoding="utf-8")


def _run_all() -> dict[str, pd.DataFrame]:
    """The watched numbers of every task."""
    os.environ["MPLBACKEND"] = "Agg"
    found = {}
    with tempfile.TemporaryDirectory() as place, command_in(Path(place), Path(place, "cache")) as semrsm:
        for task in TABLES:
            succeed(semrsm(task, f"hydra.run.dir={task}"))
            found[task] = golden_numbers(task, Path(place, task))
    return found


def _is_raised(before: dict[str, int]) -> bool:
    """Whether some stage has a higher version than before, and none a lower one."""
    return dict(VERSIONS) != before and all(VERSIONS[stage] >= version for stage, version in before.items())


if __name__ == "__main__":
    main()
