"""Tiny checkpoints with the real image processors and token grids, and no network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semrsm_cli.models import Network, Readout
from semrsm_cli.models.preprocessing import Normalise
from tests.models.checkpoints import RECIPES


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "reachable" not in request.node.name:
        monkeypatch.setattr("semrsm_cli.models.hub._is_reachable", lambda: False)


@pytest.fixture
def image(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (72, 128, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny checkpoint of a kind, written on first use."""
    root = tmp_path_factory.mktemp("checkpoints")

    def folder(kind: str) -> Path:
        path = root / kind
        if not path.exists():
            torch.manual_seed(0)
            model, processor = RECIPES[kind]()
            model.save_pretrained(path)
            processor.save_pretrained(path)
        return path

    return folder


@pytest.fixture
def network_of() -> Callable[..., Network]:
    """A network around any module, for tests of what is captured."""

    def network(module: nn.Module, **fields: Any) -> Network:
        identity = Normalise((0.0,) * 3, (1.0,) * 3)
        settings: dict[str, Any] = {
            "label": "toy",
            "module": module.eval(),
            "forward": module,
            "preprocess": identity,
            "normalise": identity,
            "blocks": (),
            "readouts": dict[Readout, str](),
            "prefix_tokens": 0,
            "n_classes": None,
            "is_cnn": True,
            "channels_last": False,
        }
        return Network(**(settings | fields))

    return network
