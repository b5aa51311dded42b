"""Every figure of README and docs is made by a command that stands on its page, and the script renews it."""

import re

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
