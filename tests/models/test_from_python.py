"""Networks that a function of the user's gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import capture, load
from semrsm_cli.models.weights import weights_hash

_NET = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 4, 4), nn.ReLU())

    def forward(self, x):
        return self.layers(x)

def preprocess(image):
    pixels = torch.tensor(np.asarray(image.resize((16, 16))), dtype=torch.float32)
    return (pixels.permute(2, 0, 1) / 255 - 0.5) / 0.25

def build(width=4):
    return Net(width)

def with_preprocessing():
    return Net(), preprocess

def classifier(classes=4):
    net = Net()
    net.num_classes = classes
    return net

def wrong():
    return {"model": Net()}

def grey():
    return Net(), lambda image: image.convert("L")

def fails():
    return Net(), lambda image: image.no_such_thing

def swapped():
    return Net(), lambda image: preprocess(image).flip(0)
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(_NET)
    return "net.py"


def test_a_function_gives_a_network_with_seeded_weights(net: str) -> None:
    state = torch.random.get_rng_state()
    first, again, wide = (load("python", f"{net}:build", options={"width": width}) for width in (4, 4, 8))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert weights_hash(first.module) == weights_hash(again.module)
    assert first.identity == again.identity != wide.identity
    assert first.blocks == ("layers.0", "layers.1")
    assert not first.module.training
    captured = capture(first, torch.zeros(2, 3, 16, 16), ["layers.1"], cls_token="drop")
    assert captured.representations["layers.1"].shape == (2, 16, 4)
    assert captured.cnn_grids["layers.1"] == (4, 4)
    assert captured.logits is None


def test_the_key_holds_the_source_the_weights_and_the_preprocessing_but_no_place(net: str, tmp_path: Path) -> None:
    first = load("python", f"{net}:with_preprocessing").identity
    assert load("python", f"{tmp_path}/{net}:with_preprocessing").identity == first
    assert "0x" not in str(first)
    assert load("python", f"{net}:build").identity["preprocessing"] != first["preprocessing"]
    Path(net).write_text(_NET + "\n# edited\n")
    assert load("python", f"{net}:with_preprocessing").identity["configuration"] != first["configuration"]
    state = load("python", f"{net}:build").module.state_dict()
    torch.save({name: 2 * tensor for name, tensor in state.items()}, "double.pt")
    double = load("python", f"{net}:build", weights="double.pt")
    assert double.identity["weights"] != first["weights"]
    assert torch.equal(double.module.state_dict()["layers.0.bias"], 2 * state["layers.0.bias"])


def test_mean_and_standard_deviation_are_read_off_a_preprocessing(net: str, rng: np.random.Generator) -> None:
    network = load("python", f"{net}:with_preprocessing")
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    assert torch.allclose(network.normalise(image), network.preprocess(image), atol=1e-5)
    imagenet = load("python", f"{net}:build").normalise
    assert np.allclose([imagenet.mean, imagenet.std], [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], atol=1e-5)
    with pytest.raises(SemrsmError, match="crops, size= and framings are not possible"):
        load("python", f"{net}:swapped").normalise(image)


@pytest.mark.parametrize(
    ("function", "settings", "complaint"),
    [
        ("wrong", {}, r"net.py:wrong gives dict; it must return a torch.nn.Module, or such a module and its prep"),
        ("grey", {}, r"the preprocessing of net.py:grey gives Image; it must give floats \[3, h, w\]"),
        (
            "fails",
            {},
            r"the preprocessing of net.py:fails fails: AttributeError: .*no_such_thing. \(net.py, line \d+\)",
        ),
        ("build", {"revision": "main"}, "model.revision=main means nothing for net.py:build"),
        ("build", {"weights": "random"}, "model.weights=random means nothing for net.py:build"),
        ("build", {"weights": "absent.pt"}, "there is no weights file absent.pt"),
    ],
)
def test_what_is_no_network_is_said(net: str, function: str, settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(SemrsmError, match=complaint):
        load("python", f"{net}:{function}", **settings)


def test_a_network_that_classifies_gives_logits(net: str) -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            return x.mean((2, 3)), None

    batch = torch.ones(2, 3, 16, 16)
    network = load("python", f"{net}:classifier")
    with pytest.raises(SemrsmError, match=r"net.py:classifier says num_classes=4, but gives \[2, 4, 4, 4\] for 2 im"):
        capture(network, batch, ["layers.0"], cls_token="drop")
    network.module.layers.append(Flat())
    logits = capture(network, batch, ["layers.0"], cls_token="drop").logits
    assert logits is not None
    assert logits.shape == (2, 4)
