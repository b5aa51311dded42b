"""`semrsm.represent`: any module, in whatever form images come and layers give."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import semrsm_cli as semrsm
from semrsm_cli.errors import SemrsmError
from tests.command import Command, succeed


class Net(nn.Module):
    """A convolution whose map is then given in another form, as `head` says."""

    def __init__(self, head: Callable[[Tensor], Any] = lambda x: x) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, 4)
        self.head = Head(head)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.stem(x))


class Head(nn.Module):
    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return self.form(x)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(7, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def represent(module: nn.Module, images: Any, layer: str = "head", **settings: Any) -> semrsm.Represented:
    return semrsm.represent(module, images, layers=[layer], progress=False, **settings)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: x.permute(0, 2, 3, 1),
        lambda x: x.flatten(2).mT,
        lambda x: (x, None),
        lambda x: [x.flatten(2).mT],
        lambda x: {"features": x, "loss": torch.zeros(())},
    ],
    ids=["map", "NHWC", "tokens", "tuple", "list", "dict"],
)
def test_every_form_of_output_gives_the_same_concept_vectors(images: Tensor, form: Callable[[Tensor], Any]) -> None:
    torch.manual_seed(0)
    net = Net(form)
    with torch.no_grad():
        expected = net.stem(images).permute(0, 2, 3, 1).reshape(7, 24, 5).numpy()
    found = represent(net, images, batch_size=3)
    np.testing.assert_allclose(found["head"], expected, atol=1e-6)
    assert (found["head"].dtype, found.grids, found.ids) == (np.float32, {"head": (4, 6)}, None)


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        (lambda x: None, "layer head of Net gives NoneType, no tensor of features; choose another layer"),
        (lambda x: {"deep": {"features": x}}, "gives dict, no tensor of features"),
        (lambda x: x.argmax(1), "gives Tensor, no tensor of features"),
        (lambda x: x.mean(), r"gives \[\] for 7 images: no map, tokens or vector of each image"),
        (lambda x: x.flatten(0, 1), r"gives \[35, 4, 6\] for 7 images"),
        (lambda x: x / 0, "gives NaN or infinity; check the weights and the images"),
        (lambda x: {}["key"], r"Net fails on images \[7, 3, 16, 24\]: KeyError: 'key' \(test_module.py, line \d+\)"),
        (lambda x: x @ x, r"Net fails on images \[7, 3, 16, 24\]: RuntimeError: .* \(test_module.py, line \d+\)"),
    ],
)
def test_what_cannot_be_used_is_said_on_one_line(images: Tensor, form: Callable[[Tensor], Any], complaint: str) -> None:
    with pytest.raises(SemrsmError, match=complaint) as caught:
        represent(Net(form), images)
    assert "\n" not in str(caught.value)


def test_layers_are_patterns_and_unknown_ones_are_named(images: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)))
    assert list(semrsm.represent(net, images, "1.*", progress=False)) == ["1.0", "1.1"]
    with pytest.raises(SemrsmError, match="no layer '2' in Sequential, choose from"):
        represent(net, images, "2")
    with pytest.raises(SemrsmError, match="Head has no layer 'x', nor any other: it is one module without parts"):
        represent(Head(lambda x: x), images, "x")


def test_class_tokens_are_dropped_or_kept(images: Tensor) -> None:
    net = Net(lambda x: torch.cat([torch.ones(len(x), 1, 5), x.flatten(2).mT], 1))
    net.cls_token = nn.Parameter(torch.zeros(1, 1, 5))
    assert represent(net, images)["head"].shape == (7, 24, 5)
    kept = represent(net, images, cls_token="keep")
    assert (kept["head"].shape, kept.grids["head"]) == ((7, 25, 5), None)
    del net.cls_token
    net.num_prefix_tokens = 1
    assert represent(net, images).grids["head"] == (4, 6)


def test_state_that_a_module_keeps_while_it_runs_is_that_of_its_own_thread(images: Tensor) -> None:
    both, calls = threading.Barrier(2, timeout=60), itertools.count()

    class Keeping(Net):
        def forward(self, x: Tensor) -> Tensor:
            self.kept = x
            if next(calls) in (1, 2):  # of three batches the first is alone
                both.wait()
            return self.stem(self.kept)

    net = Keeping()
    together = represent(net, images[:6], "stem", batch_size=2, threads=2)["stem"]
    assert next(calls) == 3
    np.testing.assert_array_equal(represent(net, images[:6], "stem", batch_size=2, threads=1)["stem"], together)


def test_a_module_is_left_as_it_was(images: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.BatchNorm2d(4), nn.Dropout())
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first = represent(net, images, "2", device="cpu")["2"]
    assert [part.training for part in net] == [True, False, True]
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.is_contiguous() for parameter in net.parameters())
    assert not net._forward_hooks
    np.testing.assert_array_equal(represent(net, images, "2")["2"], first)


def to_tensor(image: Image.Image) -> Tensor:
    return torch.tensor(np.asarray(image)).permute(2, 0, 1) / 255


def test_paths_pictures_and_arrays_are_the_same_images(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (3, 16, 24, 3), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture).save(path)
    net = Net()
    floats = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = represent(net, floats)
    for images in (torch.tensor(floats), list(floats), [torch.tensor(image) for image in floats]):
        np.testing.assert_array_equal(represent(net, images)["head"], expected["head"])
    by_path = represent(net, paths, preprocess=to_tensor)
    np.testing.assert_array_equal(by_path["head"], expected["head"])
    assert by_path.ids == tuple(map(str, paths))
    pictures = [Image.open(path).convert("RGBA") for path in paths]
    np.testing.assert_array_equal(represent(net, pictures, preprocess=to_tensor)["head"], expected["head"])
    shown = represent(net, paths)
    assert shown.grids["head"] == (56, 56)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (np.zeros((2, 16, 24), np.float32), r"images must be \[n, 3, h, w\], got \[2, 16, 24\]"),
        (np.zeros((2, 16, 24, 3), np.float32), r"an image must be \[3, h, w\], got \[16, 24, 3\]; permute its axes"),
        (np.zeros((2, 3, 16, 24), np.uint8), "images are uint8, the module takes floats; normalise them"),
        ([torch.zeros(3, 16, 24), torch.zeros(3, 16, 16)], r"one size, got \[3, 16, 24\] and \[3, 16, 16\]; give prep"),
        ([], "must be a tensor .* got none"),
        ("picture.png", "must be a tensor .* got str"),
        (iter([]), "must be a tensor .* got list_iterator"),
    ],
)
def test_images_of_another_form_are_refused(images: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        represent(Net(), images)


_NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU(), nn.Conv2d(6, 8, 2, 2), nn.ReLU())

    def forward(self, x):
        return {"features": self.encoder(x)}
"""
_SCRIPT = f"""{_NET}
from pathlib import Path
import semrsm_cli as semrsm
torch.manual_seed(0)
x = semrsm.represent(Net(), sorted(Path("pictures").iterdir()), layers=["encoder.*"])
K, L = (semrsm.rsm(x[layer]) for layer in ("encoder.1", "encoder.3"))
print(semrsm.cka(K, L))
"""
_BUILD = f"{_NET}\ndef build():\n    return Net()\n"


@pytest.mark.slow
def test_fifteen_lines_end_in_an_rsm_and_a_cka_as_the_command_line_does(
    tmp_path: Path, rng: np.random.Generator, semrsm: Command
) -> None:
    """The module of a script, named on the command line, gives the same bytes."""
    assert len([line for line in _SCRIPT.splitlines() if line]) <= 15
    Path("pictures").mkdir()
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).save(f"pictures/{i}.png")
    script = f"{_SCRIPT}import numpy as np; np.save('K', K); np.save('L', L)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    Path("net.py").write_text(_BUILD)
    own = ("model=python", "model.name=net.py:build", "dataset=folder", "dataset.root=pictures")
    same = (*own, "model.layers=[encoder.1,encoder.3]", "runtime.batch_size=32")
    succeed(semrsm("rsm", *same, "hydra.run.dir=run"))
    for name, layer in (("K", "encoder.1"), ("L", "encoder.3")):
        assert Path(f"{name}.npy").read_bytes() == Path(f"run/arrays/{layer}.npy").read_bytes()
    succeed(semrsm("cka", *same, "size=null", "n_images=6", "kernels=cosine", "n_draws=1", "hydra.run.dir=cka"))
    table = pd.read_csv("cka/tables/cka.csv").set_index(["layer_a", "layer_b", "invariance_a", "invariance_b"])
    value = table.loc[("encoder.1", "encoder.3", "permutation", "permutation"), "cka"]
    assert float(done.stdout) == pytest.approx(value, rel=1e-6)


def test_no_file_names_code(tmp_path: Path, semrsm: Command) -> None:
    """A preset that was passed on runs nothing: its code has to be named on the command line."""
    preset = Path("conf/model/theirs.yaml")
    preset.parent.mkdir(parents=True)
    preset.write_text("label: theirs\nsource: python\nname: theirs.py:build\n")
    Path("theirs.py").write_text("from pathlib import Path\nPath('run').touch()\ndef build(): return None\n")
    for setting, given in (("model.name", "model=theirs"), ("model_b.name", "model@model_b=theirs")):
        refused = semrsm("cka", "--config-dir", "conf", given)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert f"{setting} names Python code that is run, which no file may do" in refused.stderr
    assert not Path("run").exists()
    allowed = semrsm("cka", "--config-dir", "conf", "model=theirs", "model.name=theirs.py:build")
    assert "theirs.py:build gives NoneType" in allowed.stderr
    assert Path("run").exists()
