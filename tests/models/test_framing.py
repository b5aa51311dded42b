"""How pictures that are no squares are shown to networks of every library, and how much of them is seen."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from semrsm_cli.models import Framing, Network, load
from semrsm_cli.models.framing import Framed, share_seen, with_framing
from semrsm_cli.models.from_run import describe
from semrsm_cli.models.preprocessing import Normalise, resampling
from semrsm_cli.models.recipe import Recipe
from semrsm_cli.models.resnet import build_network

Checkpoint = Callable[[str], Path]
PLAIN = Normalise((0.5,) * 3, (0.5,) * 3)
SOURCES = ["timm", "torchvision", "huggingface", "trained"]
SHARES = {  # of 2:1 pictures: half of the width, less what is cut off all around
    "timm": 0.5,
    "torchvision": 0.5 * (224 / 256) ** 2,
    "huggingface": 0.5,
    "trained": 1.0,
}
RESAMPLINGS = {"timm": "BICUBIC", "torchvision": "BILINEAR", "huggingface": "BICUBIC", "trained": "BILINEAR"}


@pytest.fixture
def network_from(tmp_path: Path, checkpoint: Checkpoint) -> Callable[[str], Network]:
    """A network of each library, with random weights or those of a tiny checkpoint."""

    def build(source: str) -> Network:
        if source == "timm":
            return load("timm", "tf_efficientnet_lite0")
        if source == "torchvision":
            return load("torchvision", "resnet18", weights="random")
        if source == "huggingface":
            return load("huggingface", str(checkpoint("clip")))
        recipe = Recipe(image_size=32)
        module = build_network(recipe, n_classes=3, seed=0)
        (tmp_path / "checkpoint.safetensors").write_bytes(save(module.state_dict()))
        (tmp_path / "checkpoint.json").write_text(describe(recipe, "small", ("a", "b", "c"), seed=0))
        return load("trained", str(tmp_path))

    return build


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_seen_of_a_frame_in_every_library(source: str, network_from: Callable[[str], Network]) -> None:
    network = network_from(source)
    square = network.preprocess(Image.new("RGB", (100, 100)))
    for size in ((256, 128), (128, 256), (2048, 1024)):
        assert share_seen(network.preprocess, *size) == pytest.approx(SHARES[source], abs=0.01)
    for framing in (Framing.squash, Framing.pad):
        framed = with_framing(network, framing)
        for size in ((256, 128), (96, 170), (1920, 1080), (5, 9), (224, 224)):
            assert share_seen(framed.preprocess, *size) == pytest.approx(1, abs=0.01)
            assert framed.preprocess(Image.new("RGB", size)).shape == square.shape
        assert framed.identity != network.identity
        assert {key for key in network.identity if framed.identity[key] != network.identity[key]} == {"preprocessing"}
        assert isinstance(framed.preprocess, Framed)
        assert framed.preprocess.resample.name == RESAMPLINGS[source]
        sent = pickle.loads(pickle.dumps(framed.preprocess))
        image = Image.new("RGB", (30, 20), "red")
        assert torch.equal(sent(image), framed.preprocess(image))
    assert with_framing(network, Framing.own) is network


@pytest.mark.parametrize("source", ["timm", "huggingface", "trained"])
def test_a_square_is_shown_as_by_networks_that_only_resize(
    source: str, network_from: Callable[[str], Network], rng: np.random.Generator
) -> None:
    network = network_from(source)
    image = Image.fromarray(rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    for framing in (Framing.squash, Framing.pad):
        shown = with_framing(network, framing).preprocess(image)
        torch.testing.assert_close(shown, network.preprocess(image), atol=1e-5, rtol=0)


def test_sam_pads_by_itself_and_vit_squashes(checkpoint: Checkpoint) -> None:
    for kind in ("sam", "vit"):
        assert share_seen(load("huggingface", str(checkpoint(kind))).preprocess, 160, 90) == pytest.approx(1, abs=0.005)
    bit = load("huggingface", str(checkpoint("bit")))
    assert share_seen(bit.preprocess, 160, 90) == pytest.approx(9 / 16, abs=0.01)


@settings(max_examples=40)
@given(width=st.integers(1, 90), height=st.integers(1, 90), side=st.integers(8, 40))
def test_padding_keeps_the_aspect_and_fills_with_the_mean(width: int, height: int, side: int) -> None:
    framed = Framed(PLAIN, (side, side), Framing.pad, Image.Resampling.BILINEAR)
    shown = framed(Image.new("RGB", (width, height), "white"))
    rows, columns = (shown[0] == 1).any(dim=1).nonzero()[:, 0], (shown[0] == 1).any(dim=0).nonzero()[:, 0]
    assert max(len(rows), len(columns)) == side
    assert abs(len(columns) - side * width / max(width, height)) <= max(0.5, 1 - side * width / max(width, height))
    assert abs(len(rows) - side * height / max(width, height)) <= max(0.5, 1 - side * height / max(width, height))
    margin = shown.clone()
    margin[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 0
    assert not margin.any()
    assert abs((side - 1 - rows[-1]) - rows[0]) <= 1
    assert abs((side - 1 - columns[-1]) - columns[0]) <= 1


@settings(max_examples=40)
@given(
    width=st.integers(40, 700), height=st.integers(40, 700), left=st.floats(0, 0.4), right=st.floats(0, 0.4),
    upper=st.floats(0, 0.4), lower=st.floats(0, 0.4),
)  # fmt: skip
def test_the_share_is_that_of_any_crop(
    width: int, height: int, left: float, right: float, upper: float, lower: float
) -> None:
    box = (round(left * width), round(upper * height), round((1 - right) * width), round((1 - lower) * height))

    def crop(image: Image.Image) -> torch.Tensor:
        assert image.size == (width, height)
        return PLAIN(image.crop(box).resize((64, 48), Image.Resampling.BILINEAR))

    expected = (box[2] - box[0]) * (box[3] - box[1]) / (width * height)
    assert share_seen(crop, width, height) == pytest.approx(expected, abs=0.02)


def test_resampling_that_is_not_told_is_bicubic() -> None:
    assert resampling(PLAIN) is Image.Resampling.BICUBIC


def test_a_description_of_the_framing_stands_in_the_identity() -> None:
    network = load("timm", "test_resnet", weights="random")
    shown = with_framing(network, Framing.pad).identity["preprocessing"]
    assert shown.startswith("pad to [160, 160], bilinear, Normalise(mean=")
    assert json.dumps(shown)
