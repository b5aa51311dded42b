"""What a network is called, and what it does not see of a square."""

import json
from pathlib import Path

import pytest

from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.config.labels import network_label
from semrsm_cli.models import Source
from semrsm_cli.pipeline.networks import cut_to_size, load_network


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("test_vit", 40, "Mine sees 32 x 32 of 40 x 40 pixels, since its patches have 16 x 16; a size that is a"),
        ("test_vit", 48, ""),
        ("test_resnet", 40, ""),  # a CNN has no patches
    ],
)
def test_the_edge_that_patches_leave_out_is_said(
    name: str, size: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ModelConfig(label="Mine", source=Source.timm, name=name, weights="random")
    network = load_network(model, RuntimeConfig())
    assert network.label == "Mine"
    assert cut_to_size(network, size) is network.normalise
    written = capsys.readouterr().err
    assert written.startswith(said) if said else not written


def test_a_network_is_called_by_what_it_is_and_not_by_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("resnet50", "google/vit-base-patch16-224", "timm:resnet18"):
        assert network_label(name) == name
    for place in ("here", "elsewhere/deeper"):
        run = tmp_path / place / "2026-01-01_12-00-00"
        run.mkdir(parents=True)
        assert network_label(str(run)) == "2026-01-01_12-00-00"
        (run / "checkpoint.json").write_text(json.dumps({"label": "ResNet18 on scenes, seed 3"}))
        for name in (str(run), str(run / "checkpoint.safetensors")):
            assert network_label(name) == "ResNet18 on scenes, seed 3"
        (run / "checkpoint.json").write_text("[]")
        assert network_label(str(run)) == "2026-01-01_12-00-00"
    monkeypatch.chdir(tmp_path / "here")
    assert network_label("2026-01-01_12-00-00") == network_label("./2026-01-01_12-00-00") == "2026-01-01_12-00-00"
    assert network_label("~/models/dinov2") == "dinov2"
