"""ResNets for small images: their size, their positions, their layers before and after a ReLU."""

import numpy as np
import pytest
import torch

from semrsm_cli.models import Network, capture, resolve_layers
from semrsm_cli.models.resnet import ResNet, n_parameters

BEFORE_RELU = ["stem.norm", "layer*.*.sum"]


@pytest.mark.parametrize(
    ("architecture", "millions", "n_layers"),
    [("resnet18", 11.27, 9), ("resnet34", 21.38, 17), ("resnet50", 23.91, 17), ("resnet101", 42.90, 34)],
)
def test_sizes_are_the_paper_s(architecture: str, millions: float, n_layers: int, network_of) -> None:
    with torch.device("meta"):
        network = ResNet(architecture, n_classes=200)
    assert n_parameters(network) / 1e6 == pytest.approx(millions, abs=0.005)
    assert len(network.layers) == n_layers
    assert len(resolve_layers(network_of(network), BEFORE_RELU, "after_norm")) == n_layers


@pytest.mark.parametrize(
    ("size", "early_downsampling", "positions"),
    [
        (32, False, [1024, 1024, 256, 64, 16]),
        (64, False, [4096, 4096, 1024, 256, 64]),
        (160, True, [6724, 1681, 441, 121, 36]),
    ],
)
def test_positions_of_each_stage(size: int, early_downsampling: bool, positions: list[int], network_of) -> None:
    module = ResNet("resnet10", n_classes=3, width=2, early_downsampling=early_downsampling)
    names = ["stem", "layer1", "layer2", "layer3", "layer4"]
    captured = capture(network_of(module, n_classes=3), torch.randn(1, 3, size, size), names, cls_token="drop")
    assert [captured.representations[name].shape[1] for name in names] == positions
    assert captured.logits is not None
    assert captured.logits.shape == (1, 3)


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_layers_before_and_after_their_relu(architecture: str, network_of) -> None:
    torch.manual_seed(0)
    module = ResNet(architecture, n_classes=3, width=4)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.weight)
    network: Network = network_of(module)
    before = resolve_layers(network, BEFORE_RELU, "after_norm")
    after = list(module.layers)
    found = capture(network, torch.randn(2, 3, 32, 32), [*before, *after], cls_token="drop").representations
    for left, right in zip(before, after, strict=True):
        assert (found[left] < 0).any()
        np.testing.assert_array_equal(np.maximum(found[left], 0), found[right])


def test_blocks_start_as_their_shortcuts() -> None:
    module = ResNet("resnet18", n_classes=3, width=4).eval()
    x = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(module.layer1(x), x)
