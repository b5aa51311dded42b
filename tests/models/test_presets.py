"""Every preset at its full input size, with random weights, gives the positions and channels that the paper used."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from semrsm_cli.models import Network, capture, load, resolve_layers

PRESETS = Path(__file__).parents[2] / "conf" / "model"
FREE = {"checkpoint", "huggingface", "python", "timm", "torchvision", "trained"}
TWO = {"num_hidden_layers": 2}
SHALLOW = {"depths": [1, 1, 1, 1]}

# preset: input side, positions, channels, classes, whether the grid is a CNN's, options that cut the depth
EXPECTED: dict[str, tuple[int, int, int, int | None, bool, dict[str, Any]]] = {
    "efficientnet_lite0": (224, 49, 320, 1000, True, {}),
    "clip": (224, 49, 768, None, False, TWO),
    "clipseg": (352, 484, 768, None, False, TWO | {"extract_layers": [0, 0, 1]}),
    "clipseg_rd64": (352, 484, 768, None, False, TWO | {"extract_layers": [0, 0, 1]}),
    "clipseg_decoder": (352, 484, 64, None, False, TWO | {"extract_layers": [0, 0, 1]}),
    "clipseg_rd64_decoder": (352, 484, 64, None, False, TWO | {"extract_layers": [0, 0, 1]}),
    "dinov2_giant": (224, 256, 1536, None, False, {"num_hidden_layers": 1}),
    "sam": (1024, 4096, 256, None, False, {"num_hidden_layers": 1}),
    "bit50": (448, 196, 2048, 1000, True, SHALLOW),
    "resnet18": (224, 49, 512, 1000, True, {}),
    "resnet50": (224, 49, 2048, 1000, True, {}),
    "resnet101": (224, 49, 2048, 1000, True, SHALLOW),
    "convnextv2_base": (224, 49, 1024, 1000, True, SHALLOW),
    "convnextv2_base_1k": (224, 49, 1024, 1000, True, SHALLOW),
    "vit_b16": (224, 196, 768, 1000, False, TWO),
    "vit_l32": (384, 144, 1024, 1000, False, TWO),
    "dinov2_giant_classifier": (224, 256, 1536, 1000, False, {"num_hidden_layers": 1}),
    "torchvision_vit_b16": (224, 196, 768, 1000, False, {}),
    "torchvision_resnet18": (224, 49, 512, 1000, True, {}),
}


def preset(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))


def experiment(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS.parent / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))


def random_network(name: str, options: dict[str, Any]) -> Network:
    settings = preset(name)
    return load(
        settings["source"], settings["name"], weights="random", revision=settings.get("revision"), options=options
    )


def test_every_preset_is_expected() -> None:
    assert {path.stem for path in PRESETS.glob("*.yaml")} == set(EXPECTED) | FREE


def test_presets_say_what_they_are() -> None:
    fields = {"label", "source", "name", "weights", "revision", "layers", "readout", "cls_token", "options"}
    for path in PRESETS.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), path
        assert set(yaml.safe_load(text)) <= fields, path


def check_shapes(name: str, options: dict[str, Any], image: Image.Image) -> None:
    side, positions, channels, classes, is_cnn, _ = EXPECTED[name]
    network = random_network(name, options)
    batch = network.preprocess(image)[None]
    assert batch.shape == (1, 3, side, side)
    (last,) = resolve_layers(network, ["last"], preset(name).get("readout", "after_norm"))
    captured = capture(network, batch, [last], cls_token="drop")
    assert captured.representations[last].shape == (1, positions, channels)
    grid = captured.grids[last]
    assert grid == (round(positions**0.5),) * 2
    assert captured.cnn_grids[last] == (grid if is_cnn else None)
    assert network.n_classes == classes
    assert (captured.logits is None) if classes is None else (captured.logits.shape == (1, classes))  # type: ignore[union-attr]
    assert network.prefix_tokens == (0 if is_cnn or name == "sam" else 1)
    if network.prefix_tokens:
        kept = capture(network, batch, [last], cls_token="keep").representations[last]
        assert kept.shape == (1, positions + 1, channels)


@pytest.mark.parametrize("name", EXPECTED)
def test_shapes_at_full_input_and_reduced_depth(name: str, image: Image.Image) -> None:
    check_shapes(name, EXPECTED[name][-1], image)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name][-1] and "giant" not in name])
def test_shapes_at_full_input_and_depth(name: str, image: Image.Image) -> None:
    check_shapes(name, {}, image)


@pytest.mark.parametrize(
    ("name", "n_blocks", "first", "last"),
    [
        ("efficientnet_lite0", 7, "blocks.0", "blocks.6"),
        ("resnet18", 4, "resnet.encoder.stages.0", "resnet.encoder.stages.3"),
        ("torchvision_resnet18", 8, "layer1.0", "layer4.1"),
        ("torchvision_vit_b16", 12, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"),
        ("vit_b16", 12, "vit.layers.0", "vit.layers.11"),
    ],
)
def test_all_means_the_blocks_in_order(name: str, n_blocks: int, first: str, last: str) -> None:
    blocks = resolve_layers(random_network(name, {}), ["all"], "after_norm")
    assert (len(blocks), blocks[0], blocks[-1]) == (n_blocks, first, last)


def test_the_classifiers_of_tables_1_and_4_are_read_before_and_after_their_norm() -> None:
    swept = experiment("correlate_table1")["hydra"]["sweeper"]["params"]["model"].split(",")
    assert swept == experiment("correlate_table4")["hydra"]["sweeper"]["params"]["model"].split(",")
    has_norm = []
    for name in swept:
        network = random_network(name, EXPECTED[name][-1])
        before, after = (resolve_layers(network, ["last"], readout) for readout in ("before_norm", "after_norm"))
        assert before == [network.blocks[-1]], name
        has_norm += [name] if before != after else []
    assert has_norm == ["vit_b16", "vit_l32", "dinov2_giant_classifier"]


def test_tables_2_and_3_read_trunk_and_decoder_of_both_clipsegs() -> None:
    for table in ("retrieve_table2", "retrieve_table3"):
        swept = experiment(table)["hydra"]["sweeper"]["params"]["model"].split(",")
        read = [(preset(name)["name"], preset(name).get("readout")) for name in swept if "clipseg" in name]
        checkpoints = ("CIDAS/clipseg-rd64-refined", "CIDAS/clipseg-rd64")
        assert read == [(checkpoint, readout) for checkpoint in checkpoints for readout in (None, "decoder")]
        assert {preset(name)["label"] for name in swept if "clipseg" in name} == {"CLIPSeg"}  # that of the paper


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    import torch

    before = torch.random.get_rng_state()
    first, second = random_network("resnet18", {}), random_network("resnet18", {})
    assert first.identity == second.identity
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.identity["weights"] != random_network("torchvision_resnet18", {}).identity["weights"]
