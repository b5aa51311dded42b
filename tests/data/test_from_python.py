"""Images that a function of the user's gives."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semrsm_cli.data import PythonDataset
from semrsm_cli.data.content import pin
from semrsm_cli.errors import SemrsmError
from tests.command import Command, succeed

_DATA = """
import random
from pathlib import Path
import numpy as np
from PIL import Image

def paths(): return sorted(Path("pictures").iterdir())
def pictures(): return [Image.open(path) for path in paths()]
def arrays(): return [np.asarray(picture) for picture in pictures()]
def classes(): return [(path, "odd" if int(path.stem) % 2 else "even") for path in paths()]
def counts(): return [(path, {"cat": i % 3, "dog": 1}) for i, path in enumerate(paths())]
def first(n): return paths()[:n]
def number(): return 3
def none(): return []
def twice(): return paths()[:1] * 2
def floats(): return [np.zeros((3, 4, 4))]
def wrong(): return [(path, 1.5) for path in paths()]

class Broken:
    def __len__(self): return 2
    def __getitem__(self, i): return {0: "pictures/0.png"}[i]

class Noise:
    def __len__(self): return 2
    def __getitem__(self, i): return np.random.default_rng(random.getrandbits(32)).integers(0, 255, (4, 4, 3), np.uint8)
"""


@pytest.fixture(autouse=True)
def pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> np.ndarray:
    monkeypatch.chdir(tmp_path)
    Path("data.py").write_text(_DATA)
    Path("pictures").mkdir()
    values = rng.integers(0, 256, (6, 12, 16, 3), np.uint8)
    for i, picture in enumerate(values):
        Image.fromarray(picture).save(f"pictures/{i}.png")
    return values


def dataset(function: str, **options: object) -> PythonDataset:
    return PythonDataset(function=f"data.py:{function}", options=options)


@pytest.mark.parametrize("function", ["paths", "pictures", "arrays", "classes"])
def test_paths_pictures_and_arrays_are_the_same_images(tmp_path: Path, pixels: np.ndarray, function: str) -> None:
    images = dataset(function).images(tmp_path)
    for one in (images, pickle.loads(pickle.dumps(images)), pin(images)):
        np.testing.assert_array_equal(np.stack([np.asarray(one[i]) for i in range(6)]), pixels)
    assert {(header.width, header.height) for header in images.headers} == {(16, 12)}
    is_of_files = function in ("paths", "classes")
    assert images.ids == tuple(f"pictures/{i}.png" if is_of_files else str(i) for i in range(6))
    before = images.fingerprint()
    assert dataset(function).images(tmp_path).fingerprint() == before
    Image.fromarray(pixels[0] ^ 1).save("pictures/0.png")
    assert dataset(function).images(tmp_path).fingerprint() != before


def test_a_function_gets_its_options(tmp_path: Path) -> None:
    assert len(dataset("first", n=2).images(tmp_path)) == 2


def test_what_images_show_is_scored_and_learnt(tmp_path: Path) -> None:
    labelled = dataset("counts").labelled_images(tmp_path)
    assert labelled.classes == ("cat", "dog")
    assert labelled.counts is not None
    assert labelled.counts.tolist() == [[i % 3, 1] for i in range(6)]
    assert dataset("paths").labelled_images(tmp_path).counts is None
    both = dataset("classes").training_set(tmp_path, 0.5)
    assert both.train.classes == both.val.classes == ("even", "odd")
    with pytest.raises(SemrsmError, match="says no single class of 4 images"):
        dataset("counts").training_set(tmp_path, 0.5)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("number", "data.py:number gives int; it must return a list of images"),
        ("none", "data.py:none gives no images"),
        ("twice", "data.py:twice gives pictures/0.png twice; give each image once"),
        ("absent", "data.py has no function 'absent'"),
        ("Broken", r"data.py:Broken fails at item 1: KeyError: 1 \(data.py, line \d+\)"),
    ],
)
def test_what_is_no_set_of_images_is_said(tmp_path: Path, function: str, complaint: str) -> None:
    with pytest.raises(SemrsmError, match=complaint):
        dataset(function).images(tmp_path)


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match=r"gives float64 \[3, 4, 4\] for image 0; it must be a path"):
        dataset("floats").images(tmp_path)[0]
    with pytest.raises(SemrsmError, match=r"says '1.5' of pictures/0.png; it must be a class, or the number of each"):
        dataset("wrong").labelled_images(tmp_path)
    noise = pin(dataset("Noise").images(tmp_path))
    with pytest.raises(SemrsmError, match="the image 0 was changed while this ran"):
        noise[0]


@pytest.mark.slow
def test_the_command_line_takes_them_as_a_folder(semrsm: Command) -> None:
    network = ("model=timm", "model.name=test_resnet", "model.weights=random")
    own = ("dataset=python", "dataset.function=data.py:paths")
    succeed(semrsm("rsm", *network, *own, "hydra.run.dir=own"))
    succeed(semrsm("rsm", *network, "dataset=folder", "dataset.root=pictures", "hydra.run.dir=folder"))
    (first, second) = (next(Path(run, "arrays").iterdir()).read_bytes() for run in ("own", "folder"))
    assert first == second
    succeed(semrsm("retrieve", *network, "dataset=python", "dataset.function=data.py:classes", "n_resamples=0"))
    assert pd.read_csv(next(Path("outputs/retrieve").rglob("retrieval.csv")))["at_1"].notna().all()
    Path("conf/dataset").mkdir(parents=True)
    Path("conf/dataset/theirs.yaml").write_text("defaults: [schema/python@_here_, _self_]\nfunction: data.py:paths\n")
    refused = semrsm("rsm", *network, "--config-dir", "conf", "dataset=theirs")
    assert refused.exit_code == 2
    assert "dataset.function names Python code that is run, which no file may do" in refused.stderr
