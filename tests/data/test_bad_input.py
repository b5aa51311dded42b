"""Files that nobody should have to read: each is answered in one line, whatever is wrong with it."""

import shlex

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from semrsm_cli.data import EgoObjects
from semrsm_cli.data.arrays import read_array
from semrsm_cli.data.images import MAX_PIXELS
from semrsm_cli.errors import SemrsmError
from tests.command import refuse
from tests.data import egoobjects_files as files
from tests.data.bad_arrays import ARRAYS, VALUES
from tests.data.bad_checkpoints import CHECKPOINTS
from tests.data.bad_images import IMAGES
from tests.data.bad_settings import SETTINGS
from tests.data.bad_tables import ANNOTATED, LABELS

FILES = {
    "arrays": ARRAYS,
    "images": IMAGES,
    "annotations": ANNOTATED,
    "labels": LABELS,
    "checkpoints": CHECKPOINTS,
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")  # as users have it
@pytest.mark.parametrize("kind", FILES)
def test_what_cannot_be_read_is_answered_in_one_line(kind, tmp_path, subtests):
    cases = FILES[kind]
    assert len({name for name, _, _ in cases}) == len(cases)
    for number, (name, prepare, complaint) in enumerate(cases):
        with subtests.test(name):
            folder = tmp_path / str(number)
            folder.mkdir()
            read = prepare(folder)
            with pytest.raises(SemrsmError, match=complaint) as raised:
                read()
            said = str(raised.value)
            print(f"{raised.value.exit_code}  {name:34} {said.replace(str(folder), '')}")  # noqa: T201
            assert "\n" not in said
            assert raised.value.exit_code == 1  # a file can be mended


def test_what_cannot_be_meant_is_answered_in_one_line(semrsm, subtests):
    assert len({line for line, _, _ in SETTINGS}) == len(SETTINGS)
    for line, complaint, exit_code in SETTINGS:
        with subtests.test(line):
            said = refuse(semrsm, *line.split(), complaint=complaint, exit_code=exit_code)
            print(f"{exit_code}  {line:34} {said.rstrip()}")  # noqa: T201


def test_a_hundred_kinds_of_bad_input_are_known():
    assert sum(map(len, (*FILES.values(), SETTINGS))) >= 100
    assert all(len(cases) >= 9 for cases in FILES.values())


def test_advice_on_arrays_works_when_pasted(tmp_path, subtests):
    for name in (
        "two.npz",
        "two of them.npz",
        "it's.npz",
        'a"b.npz',
        "a\\b.npz",
        'a\\"b.npz',
        "ä(1)=[x].npz",
        "${x}.npz",
    ):
        with subtests.test(name):
            np.savez(tmp_path / name, u=VALUES, v=VALUES)
            with pytest.raises(SemrsmError, match="holds 2 arrays; choose one of u, v, as in ") as raised:
                read_array(str(tmp_path / name))
            (override,) = shlex.split(str(raised.value).split(", as in ")[1])
            parsed = OverridesParser.create().parse_override(override)
            chosen = OmegaConf.create({parsed.key_or_group: parsed.value()})["x"]
            assert chosen == f"{tmp_path / name}#u"
            np.testing.assert_array_equal(read_array(chosen), VALUES)


def test_links_below_the_root_may_lead_anywhere(tmp_path):
    root = files.write(tmp_path / "egoobjects", files.content())
    (root / "images").rename(tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere")
    assert EgoObjects(root=str(root), width=32, height=18).images(tmp_path)[0].size == (32, 18)


def test_cap_on_pixels_admits_cameras():
    assert 12_000 * 9_000 <= MAX_PIXELS < 13_000 * 13_000
