"""Every figure of README and docs is made by a command that stands on its page, and the script renews it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, commands_in

SCRIPT = ROOT / "scripts" / "make_docs_figures.sh"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the scripts lie in a checkout only")


def commands_of_figures() -> dict[str, str]:
    """The command of each figure that the script makes."""
    return dict(re.findall(r"^figure (\w+) \w+ (semrsm .+)$", SCRIPT.read_text(), re.MULTILINE))


def test_the_script_makes_all_figures_and_no_others() -> None:
    assert {path.name for path in (DOCS / "figures").iterdir()} == {f"{name}.webp" for name in commands_of_figures()}


def test_each_figure_stands_beside_its_command() -> None:
    made, shown = commands_of_figures(), set()
    for page, path in PAGES.items():
        text = path.read_text()
        blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        commands = [" ".join(["semrsm", *words]) for words in commands_in(blocks)]
        for place in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
            figure = (path.parent / place).resolve()
            assert figure.is_file(), f"{page}: there is no {place}"
            assert made[figure.stem] in commands, f"{page} does not say how {place} is made"
            shown.add(figure.stem)
    assert shown == set(made)


STUB = """
import sys
from pathlib import Path
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
overrides = OverridesParser.create().parse_overrides(sys.argv[2:])
(folder,) = (override.value() for override in overrides if override.key_or_group == "hydra.run.dir")
Path(folder, "figures").mkdir(parents=True)
for name in ("translation", "scores", "consistency", "neighbours_1", "matched_1"):
    Image.new("RGB", (8, 8)).save(Path(folder, "figures", f"{name}.png"))
"""


def test_the_script_gives_each_command_a_folder_that_it_takes(tmp_path: Path) -> None:
    """The script as it is, beside a `semrsm` that reads settings as Hydra does and draws nothing."""
    for part in ("scripts/make_docs_figures.sh", "docs/tutorials/photographs.md"):
        (tmp_path / part).parent.mkdir(parents=True)
        shutil.copy(ROOT / part, tmp_path / part)
    (tmp_path / "docs" / "figures").mkdir()
    stub = tmp_path / "bin" / "semrsm"
    stub.parent.mkdir()
    stub.write_text(f"#!{sys.executable}{STUB}")
    stub.chmod(0o755)
    path = f"{stub.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", tmp_path / "scripts" / "make_docs_figures.sh"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (tmp_path / "docs" / "figures").iterdir()} == set(commands_of_figures())
