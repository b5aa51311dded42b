"""Concept vectors from maps, tokens and vectors, in one pass that changes nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import Capture, Network, capture, load, resolve_layers
from semrsm_cli.models.capture import _is_proportional, token_grid

NetworkOf = Callable[..., Network]


def batch(n: int = 2, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(0))


class Layout(nn.Module):
    """Gives its input in another form."""

    def __init__(self, form: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(x)


@pytest.fixture(scope="module")
def resnet() -> Network:
    return load("torchvision", "resnet18", weights="random")


def test_a_map_becomes_its_positions_row_by_row(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.Conv2d(3, 5, 3)))
    images = batch(height=9, width=13)
    captured = capture(network, images, ["0"], cls_token="drop")
    own = network.module(images).detach().numpy()
    assert captured.grids["0"] == captured.cnn_grids["0"] == (7, 11)
    assert captured.representations["0"].dtype == np.float32
    for position in (0, 10, 11, 76):
        np.testing.assert_array_equal(
            captured.representations["0"][:, position], own[:, :, position // 11, position % 11]
        )


def test_passes_of_several_threads_do_not_mix_and_leave_no_hook(network_of: NetworkOf) -> None:
    both = threading.Barrier(2)

    class Meeting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            both.wait(timeout=60)
            return x

    network = network_of(nn.Sequential(nn.Conv2d(3, 5, 3), Meeting(), nn.Conv2d(5, 4, 3)))
    batches = [batch(n=2), batch(n=3, height=40)]
    with Capture(network, ["0", "2"], cls_token="drop") as run, ThreadPoolExecutor(2) as threads:
        found = list(threads.map(run, batches))
        network.module[0](batches[0])  # a pass that is none of ours
    both.abort()
    for images, captured in zip(batches, found, strict=True):
        own = network.module[0](images).detach().permute(0, 2, 3, 1).flatten(1, 2)
        np.testing.assert_allclose(captured.representations["0"], own, rtol=1e-5, atol=1e-6)
        assert len(captured.representations["2"]) == len(images)
    assert not any(part._forward_hooks for part in network.module.modules())


def test_hooks_are_removed_after_an_error(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.Conv2d(3, 5, 3), Layout(lambda x: x / 0)))
    with pytest.raises(SemrsmError, match="NaN or infinity"):
        capture(network, batch(), ["1"], cls_token="drop")
    assert not any(part._forward_hooks for part in network.module.modules())


def test_images_smaller_than_a_kernel_are_refused_in_one_line(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.Conv2d(3, 5, 14, stride=14)))
    with pytest.raises(SemrsmError, match=r"takes no images of 10 x 12 pixels: Calculated padded input size") as raised:
        capture(network, batch(height=10, width=12), ["0"], cls_token="drop")
    assert "\n" not in str(raised.value)


def test_other_errors_of_a_network_stay_what_they_are(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.Conv2d(4, 5, 3)))
    with pytest.raises(RuntimeError, match="channels"):
        capture(network, batch(), ["0"], cls_token="drop")


def test_maps_with_channels_last_are_told_by_their_shape(network_of: NetworkOf) -> None:
    last = Layout(lambda x: x.permute(0, 2, 3, 1))
    for module in (nn.Sequential(nn.Conv2d(3, 7, 4, 4), last), nn.Sequential(last, nn.Linear(3, 32))):
        captured = capture(network_of(module), images := batch(), ["1"], cls_token="drop")
        own = module(images).detach()
        assert captured.grids["1"] == tuple(own.shape[1:3])
        np.testing.assert_array_equal(captured.representations["1"], own.flatten(1, 2).numpy())


def test_a_cube_is_read_as_the_network_declares(network_of: NetworkOf) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 4, 4))
    first, last = (
        capture(network_of(module, channels_last=flag), batch(), ["0"], cls_token="drop").representations["0"]
        for flag in (False, True)
    )
    own = module(batch()).detach()
    np.testing.assert_array_equal(first, own.flatten(2).transpose(1, 2).numpy())
    np.testing.assert_array_equal(last, own.flatten(1, 2).numpy())


@pytest.mark.parametrize(("prefix", "n_tokens"), [(1, 17), (5, 21), (0, 16)])
def test_prefix_tokens_are_dropped_or_kept(prefix: int, n_tokens: int, network_of: NetworkOf) -> None:
    tokens = torch.randn(2, n_tokens, 6)
    network = network_of(nn.Sequential(Layout(lambda _: tokens)), prefix_tokens=prefix, is_cnn=False)
    dropped = capture(network, batch(), ["0"], cls_token="drop")
    kept = capture(network, batch(), ["0"], cls_token="keep")
    np.testing.assert_array_equal(dropped.representations["0"], tokens[:, prefix:].numpy())
    np.testing.assert_array_equal(kept.representations["0"], tokens.numpy())
    assert dropped.grids["0"] == (4, 4)
    assert kept.grids["0"] == (None if prefix else (4, 4))
    assert dropped.cnn_grids["0"] is None


def test_layers_before_the_class_token_lose_no_patch(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(Layout(lambda x: torch.ones(len(x), 16, 6))), prefix_tokens=1)
    captured = capture(network, batch(), ["0"], cls_token="drop")
    assert captured.representations["0"].shape == (2, 16, 6)
    assert captured.grids["0"] == (4, 4)


def test_a_vector_is_one_position(network_of: NetworkOf) -> None:
    network = network_of(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    captured = capture(network, batch(), ["1"], cls_token="drop")
    assert captured.representations["1"].shape == (2, 1, 3)
    assert captured.grids["1"] is None


def test_the_first_tensor_of_several_outputs_counts(network_of: NetworkOf) -> None:
    images = batch()
    expected = images.flatten(2).transpose(1, 2).numpy()
    forms = {"tuple": lambda x: (x, "more"), "list": lambda x: ["more", x], "named": lambda x: {"a": None, "b": x}}
    for name, form in forms.items():
        captured = capture(network_of(nn.Sequential(Layout(form))), images, ["0"], cls_token="drop")
        np.testing.assert_array_equal(captured.representations["0"], expected, strict=True, err_msg=name)


def test_what_is_no_representation_is_named(network_of: NetworkOf, subtests: pytest.Subtests) -> None:
    for form, complaint in (
        (lambda _: "text", "layer 0 of toy gives str, no tensor of features"),
        (lambda x: x.long(), "gives Tensor, no tensor of features"),
        (lambda x: x.flatten(0, 1), r"gives \[6, 32, 32\] for 2 images"),
        (lambda x: x[..., None], r"gives \[2, 3, 32, 32, 1\] for 2 images"),
        (lambda x: x / 0, "layer 0 of toy gives NaN or infinity"),
        (lambda x: x * torch.nan, "layer 0 of toy gives NaN or infinity"),
    ):
        with subtests.test(complaint), pytest.raises(SemrsmError, match=complaint):
            capture(network_of(nn.Sequential(Layout(form))), batch(), ["0"], cls_token="drop")


def test_layers_that_do_not_run_are_named(network_of: NetworkOf) -> None:
    module = nn.Sequential(nn.ReLU(), nn.ModuleList([nn.ReLU()]))
    network = network_of(module, forward=module[0])
    with pytest.raises(SemrsmError, match=r"layer 1\.0 of toy does not run"):
        capture(network, batch(), ["1.0"], cls_token="drop")


def test_later_layers_cannot_overwrite_what_was_read(network_of: NetworkOf) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    captured = capture(network_of(module), batch(), ["0", "1"], cls_token="drop")
    assert captured.representations["0"].min() < 0
    np.testing.assert_array_equal(captured.representations["1"], captured.representations["0"].clip(0))


def test_hooks_change_nothing_and_are_gone_afterwards(resnet: Network) -> None:
    images = batch(height=64, width=64)
    with torch.inference_mode():
        plain = resnet.module(images).numpy()
    captured = capture(resnet, images, resolve_layers(resnet, ["all"], "after_norm"), cls_token="drop")
    np.testing.assert_array_equal(captured.logits, plain)
    assert not any(module._forward_hooks for module in resnet.module.modules())


def test_several_layers_in_one_pass_are_those_of_single_passes(resnet: Network) -> None:
    images = batch(height=64, width=64)
    layers = ["layer1", "layer2.0.conv1", "layer4", "avgpool", "fc"]
    together = capture(resnet, images, layers, cls_token="drop").representations
    assert list(together) == layers
    for layer in layers:
        alone = capture(resnet, images, [layer], cls_token="drop").representations[layer]
        np.testing.assert_array_equal(together[layer], alone)


@pytest.mark.parametrize(
    ("source", "name", "options"),
    [
        ("torchvision", "swin_t", {}),
        ("timm", "swin_tiny_patch4_window7_224", {"depths": (1, 1, 1, 1)}),
    ],
)
def test_swin_transformers_keep_channels_last(source: str, name: str, options: dict[str, Any]) -> None:
    network = load(source, name, weights="random", options=options)
    images = batch(1, 224, 224)
    layers = resolve_layers(network, ["all", "last"], "after_norm")
    captured = capture(network, images, layers, cls_token="drop")
    sides = {grid: captured.representations[name].shape[2] for name, grid in captured.grids.items()}
    assert sides == {(56, 56): 96, (28, 28): 192, (14, 14): 384, (7, 7): 768}
    assert captured.cnn_grids[layers[-1]] is None
    output: list[torch.Tensor] = []
    with network.module.get_submodule(layers[-1]).register_forward_hook(lambda *args: output.append(args[-1])):
        network.module(images)
    np.testing.assert_array_equal(captured.representations[layers[-1]], output[0].detach().flatten(1, 2).numpy())


def test_convnext_maps_are_channels_first_and_its_inner_norms_last() -> None:
    network = load("torchvision", "convnext_tiny", weights="random")
    captured = capture(network, batch(1, 64, 64), ["features.1.0", "features.1.0.block.2"], cls_token="drop")
    shapes = {name: found.shape for name, found in captured.representations.items()}
    assert shapes == dict.fromkeys(shapes, (1, 256, 96))


@pytest.mark.parametrize(("source", "name"), [("torchvision", "vit_b_16"), ("timm", "vit_tiny_patch16_224")])
def test_a_size_that_the_network_does_not_take_is_named(source: str, name: str) -> None:
    network = load(source, name, weights="random")
    with pytest.raises(SemrsmError, match=f"{name} takes no images of 64 x 64 pixels"):
        capture(network, batch(1, 64, 64), [network.blocks[0]], cls_token="drop")


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([4, 14, 16, 32]))
def test_the_grid_of_whole_patches_is_found(height: int, width: int, patch: int) -> None:
    size = (height * patch, width * patch)
    assert _is_proportional(height, width, size)
    assert token_grid(height * width, size) == (height, width)
