"""Batch norms folded into convolutions: the same features, whatever else is read, and only where nothing else looks."""

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.models import Autocast, Network, Source, capture, load, resolve_layers
from semrsm_cli.models.folding import with_folded_norms
from semrsm_cli.pipeline.networks import load_network

NetworkOf = Callable[..., Network]


def images(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def trained(module: nn.Module) -> nn.Module:
    """The module with norms that are far from doing nothing, as training leaves them."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
    return module.eval()


@pytest.mark.parametrize(
    ("source", "name", "layers", "folded"),
    [
        ("timm", "tf_efficientnet_lite0", "blocks.*", 49),  # whose norms hold the activations
        ("timm", "resnet18", "layer*", 20),
        ("timm", "densenet121", "features.denseblock*", 59),  # of 121: the others come before their convolution
        ("timm", "mobilenetv3_small_050", "blocks.*", 34),
        ("torchvision", "resnet18", "layer*", 20),
        ("torchvision", "shufflenet_v2_x0_5", "stage*", 56),
        ("torchvision", "googlenet", "inception5?", 57),
    ],
)
def test_features_are_as_near_to_exact_ones_as_before(source: str, name: str, layers: str, folded: int) -> None:
    network = load(source, name, weights="random")
    trained(network.module)
    exact = copy.deepcopy(network.module).double()
    read = resolve_layers(network, [layers], "after_norm")
    before = capture(network, images(), read, cls_token="drop").representations
    names = network.layers
    changed = with_folded_norms(network, images()[0])
    after = capture(changed, images(), read, cls_token="drop").representations
    assert changed.layers == names
    assert len(changed.unfolded) == folded
    truth = capture(
        replace(network, module=exact, forward=exact), images().double(), read, cls_token="drop"
    ).representations
    for layer in read:
        size = np.abs(truth[layer]).max()
        error, allowed = (np.abs(features[layer] - truth[layer]).max() / size for features in (after, before))
        assert error < max(3 * allowed, 2e-6)


def test_features_do_not_hang_on_what_else_is_read() -> None:
    network = load("timm", "tf_efficientnet_lite0", weights="random")
    trained(network.module)
    plain = capture(network, images(), ["conv_stem"], cls_token="drop").representations
    folded = with_folded_norms(network, images()[0])
    alone = capture(folded, images(), ["blocks.6"], cls_token="drop").representations
    layers = ["conv_stem", "bn1", "blocks.1.0.conv_pw", "blocks.6"]
    among = capture(folded, images(), layers, cls_token="drop").representations
    np.testing.assert_array_equal(alone["blocks.6"], among["blocks.6"])
    np.testing.assert_array_equal(plain["conv_stem"], among["conv_stem"])  # a convolution's own output, before its norm
    assert np.abs(among["bn1"] - among["conv_stem"]).max() > 0.1


class Toy(nn.Module):
    """A convolution and a norm, of which a pass is made in some way."""

    def __init__(self, way: Callable[["Toy", Tensor], Tensor], **norm: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3, **norm)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


@pytest.mark.parametrize(
    ("way", "norm"),
    [
        (lambda toy, x: (y := toy.conv(x)) + toy.norm(y), {}),  # something else takes the convolution's output
        (lambda toy, x: toy.norm(toy.conv(toy.conv(x))), {}),  # the convolution runs twice
        (lambda toy, x: toy.norm(toy.norm(toy.conv(x))), {}),  # or the norm
        (lambda toy, x: toy.norm(toy.conv(x).relu()), {}),
        (lambda toy, x: toy.norm(toy.conv(x).relu_()), {}),
        (lambda toy, x: toy.norm(x) + toy.conv(x), {}),
        (lambda toy, x: toy.norm(toy.conv(x)), {"track_running_stats": False}),  # goes by the batch
    ],
)
def test_a_norm_stays_where_something_else_would_change(
    way: Callable[[Toy, Tensor], Tensor], norm: dict[str, bool], network_of: NetworkOf
) -> None:
    network = network_of(trained(Toy(way, **norm)))
    with torch.no_grad():
        before = network.forward(images())
        folded = with_folded_norms(network, images()[0])
        torch.testing.assert_close(folded.forward(images()), before, rtol=0, atol=0)
    assert not folded.unfolded


def test_weights_that_are_made_in_each_pass_stay(network_of: NetworkOf) -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, self.weight / self.weight.std())

    old_fashioned = nn.Conv2d(3, 3, 1)
    old_fashioned.register_forward_pre_hook(lambda part, _: part.weight.data.mul_(1))
    for convolution in (Standardised(3, 3, 1), weight_norm(nn.Conv2d(3, 3, 1)), old_fashioned):
        network = network_of(trained(nn.Sequential(convolution, nn.BatchNorm2d(3))))
        assert not with_folded_norms(network, images()[0]).unfolded
    network = network_of(trained(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=False))))
    assert list(with_folded_norms(network, images()[0]).unfolded) == ["0"]


def test_a_network_that_does_not_take_the_image_is_left_as_it_is(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3)))
    assert not with_folded_norms(network, images()[0]).unfolded


def test_what_is_folded_hangs_on_neither_the_image_nor_the_pass(network_of: NetworkOf) -> None:
    folded = set()
    for side in (32, 48, 64, 64, 80):
        network = load("timm", "mobilenetv3_small_050", weights="random")
        folded.add(tuple(with_folded_norms(network, images(side)[0]).unfolded))
    assert len(folded) == 1


def test_networks_of_others_do_not_wait_for_timm() -> None:
    script = (
        "import sys; from semrsm_cli.models.folding import with_folded_norms; from semrsm_cli.models import load; "
        "import torch; net = load('torchvision', 'resnet18', weights='random'); "
        "print(len(with_folded_norms(net, torch.zeros(3, 64, 64)).unfolded), 'timm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["20", "False"]


def test_a_users_modules_are_not_touched_nor_those_of_a_shorter_type(tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\ndef build(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())\n"
    )
    own = ModelConfig(label="own", source=Source.python, name=f"{net}:build", layers=["2"])
    assert not load_network(own, RuntimeConfig()).unfolded
    model = ModelConfig(label="tiny", source=Source.timm, name="test_resnet", weights="random")
    assert load_network(model, RuntimeConfig()).unfolded
    assert not load_network(model, RuntimeConfig(autocast=Autocast.bfloat16)).unfolded
