"""Layers by name, by pattern, `all` and `last`."""

import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import Network, Readout, load, resolve_layers


@pytest.fixture(scope="module")
def resnet() -> Network:
    return load("torchvision", "resnet18", weights="random")


@pytest.fixture(scope="module")
def vit() -> Network:
    return load("timm", "vit_tiny_patch16_224", weights="random", options={"depth": 3})


def test_patterns_keep_their_order_and_no_layer_comes_twice(resnet: Network) -> None:
    for patterns, layers in (
        (["layer1", "fc"], ["layer1", "fc"]),
        (["layer*"], ["layer1", "layer2", "layer3", "layer4"]),
        (["layer[34].?"], ["layer3.0", "layer3.1", "layer4.0", "layer4.1"]),
        (["layer4.1", "last", "layer4.1"], ["layer4.1"]),
        (["maxpool", "all"], ["maxpool", *(f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1))]),
    ):
        assert resolve_layers(resnet, patterns, "after_norm") == layers, patterns


def test_unknown_layers_are_answered_with_near_names(resnet: Network, subtests: pytest.Subtests) -> None:
    for pattern, near in (
        ("layer5", "layer1"),
        ("layer4.2", r"layer4\.1"),
        ("zzz", r"layer1\.0"),
        ("zzz*", "'all'"),
    ):
        complaint = f"no layer '.*' in resnet18, choose from .*{near}"
        with subtests.test(pattern=pattern), pytest.raises(SemrsmError, match=complaint):
            resolve_layers(resnet, [pattern], "after_norm")


def test_the_read_out_decides_what_last_means(vit: Network) -> None:
    assert resolve_layers(vit, ["last"], "after_norm") == ["norm"]
    assert resolve_layers(vit, ["last"], Readout.before_norm) == ["blocks.2"]
    with pytest.raises(SemrsmError, match="has no read-out decoder, it has after_norm, before_norm"):
        resolve_layers(vit, ["last"], "decoder")


@pytest.mark.parametrize(
    ("source", "name", "options", "n_blocks", "last"),
    [
        ("torchvision", "swin_t", {}, 8, "norm"),
        ("torchvision", "convnext_tiny", {}, 8, "features.7"),
        ("torchvision", "regnet_y_400mf", {}, 4, "trunk_output.block4"),
        ("torchvision", "densenet121", {}, 12, "features.norm5"),
        ("timm", "convnext_atto", {}, 4, "stages.3"),
        ("timm", "resnetv2_18", {}, 4, "norm"),
        ("timm", "resnet10t", {}, 4, "layer4.0"),
        ("timm", "vit_tiny_patch16_224", {"depth": 2, "global_pool": "avg"}, 2, "blocks.1"),
    ],
)
def test_blocks_and_final_norms_of_common_families(
    source: str, name: str, options: dict[str, object], n_blocks: int, last: str
) -> None:
    network = load(source, name, weights="random", options=options)
    assert len(network.blocks) == n_blocks
    assert network.last("after_norm") == last
    assert network.last("before_norm") == network.blocks[-1]


def test_networks_of_unknown_build_still_give_layers_by_name() -> None:
    network = load("torchvision", "squeezenet1_1", weights="random")
    object.__setattr__(network, "blocks", ())
    object.__setattr__(network, "readouts", {})
    for pattern, complaint in (("all", "name layers such as"), ("last", "name a layer instead of 'last'")):
        with pytest.raises(SemrsmError, match=complaint):
            resolve_layers(network, [pattern], "after_norm")
    assert resolve_layers(network, ["features.3"], "after_norm") == ["features.3"]
