"""`semrsm` as a process of its own, which a test can kill."""

import os
import subprocess
import sys
from pathlib import Path


def started(root: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start `semrsm ARGUMENTS` in the folder `root`, with a store of its own there."""
    root.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"SEMRSM_CACHE": str(root / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from semrsm_cli.cli import main; main()", *arguments]
    return subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ran_through(root: Path, *arguments: str) -> str:
    """Run it to its end, which has to be a good one; what it said on the way."""
    run = started(root, *arguments)
    _, complaint = run.communicate(timeout=280)
    assert run.returncode == 0, complaint
    return complaint
