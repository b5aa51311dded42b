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
from tests.data import egoobjects_files as files
from tests.data.bad_arrays import ARRAYS, VALUES
from tests.data.bad_images import IMAGES
from tests.data.bad_tables import ANNOTATED, LABELS


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")  # as users have it
@pytest.mark.parametrize("kind", ["arrays", "images", "annotations", "labels"])
def test_what_cannot_be_read_is_answered_in_one_line(kind, tmp_path, subtests):
    cases = {"arrays": ARRAYS, "images": IMAGES, "annotations": ANNOTATED, "labels": LABELS}[kind]
    assert len({name for name, _, _ in cases}) == len(cases)
    for number, (name, prepare, complaint) in enumerate(cases):
        with subtests.test(name):
            folder = tmp_path / str(number)
            folder.mkdir()
            read = prepare(folder)
            with pytest.raises(SemrsmError, match=complaint) as raised:
                read()
            print(f"{name:32} {str(raised.value).replace(str(folder), '')}")  # noqa: T201
            assert "\n" not in str(raised.value)


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
