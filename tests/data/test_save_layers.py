"""Layers written and read again, and what other tools write."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

import semrsm_cli as semrsm
from semrsm_cli.errors import SemrsmError
from semrsm_cli.pipeline.module import Represented

FILES = ("x.npz", "x.safetensors", "x.zarr", "folder")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def layers(rng: np.random.Generator) -> Represented:
    made = Represented(
        {
            "layer1.0": rng.normal(size=(3, 6, 4)).astype(np.float32),
            "file": rng.normal(size=(3, 1, 2)).astype(np.float16),
        }
    )
    made.ids, made.grids = ("cat", "Öl.png", "a/b"), {"layer1.0": (2, 3), "file": None}
    return made


@pytest.mark.parametrize("name", FILES)
def test_layers_ids_and_grids_are_read_as_they_were_written(layers: Represented, name: str) -> None:
    semrsm.save_layers(f"new/{name}", layers)
    found = semrsm.read_layers(f"new/{name}")
    assert {*found.arrays} == {*layers}
    for layer, array in layers.items():
        np.testing.assert_array_equal(np.asarray(found.arrays[layer][0:3]), array)
        assert found.arrays[layer].dtype == array.dtype
    assert (found.ids, found.grids) == (layers.ids, {"layer1.0": (2, 3)})
    (one,) = semrsm.read_layers(f"new/{name}#layer1.0").arrays.values()
    np.testing.assert_array_equal(np.asarray(one[0:3]), layers["layer1.0"])


@pytest.mark.parametrize("name", FILES)
def test_without_ids_and_grids_there_are_none(layers: Represented, name: str) -> None:
    semrsm.save_layers(name, dict(layers))
    found = semrsm.read_layers(name)
    assert (found.ids, found.grids) == (None, {})


@pytest.mark.parametrize("name", FILES)
def test_the_same_layers_give_the_same_bytes(layers: Represented, name: str) -> None:
    for run in "ab":
        semrsm.save_layers(f"{run}/{name}", layers)
    contents = [
        {path.relative_to(run): path.read_bytes() for path in sorted(Path(run).rglob("*")) if path.is_file()}
        for run in "ab"
    ]
    assert contents[0] == contents[1]


def test_the_files_are_those_of_their_tools(layers: Represented) -> None:
    for name in FILES[:3]:
        semrsm.save_layers(name, layers)
    with np.load("x.npz") as arrays:
        assert arrays["ids"].tolist() == list(layers.ids or ())
        np.testing.assert_array_equal(arrays["layer1.0"], layers["layer1.0"])
    with safe_open("x.safetensors", framework="np") as tensors:
        assert json.loads(tensors.metadata()["semrsm"])["grids"] == {"layer1.0": [2, 3]}
    assert zarr.open_group("x.zarr", mode="r").attrs["ids"] == list(layers.ids or ())


def test_large_layers_are_written_some_images_at_a_time(layers: Represented, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semrsm_cli.data.save_layers._CHUNK_BYTES", 200)
    semrsm.save_layers("x.zarr", layers)
    assert zarr.open_group("x.zarr", mode="r")["layer1.0"].chunks == (2, 6, 4)
    np.testing.assert_array_equal(semrsm.read_layers("x.zarr").arrays["layer1.0"][0:3], layers["layer1.0"])


def test_nothing_is_lost(layers: Represented) -> None:
    semrsm.save_layers("x.npz", layers)
    before = hashlib.sha256(Path("x.npz").read_bytes()).digest()
    with pytest.raises(ValueError, match=r"layer bad must be \[n, s, c\] with n=3, got \[3, 4\]"):
        semrsm.save_layers("x.npz", {**layers, "bad": np.ones((3, 4))}, ids=layers.ids)
    with pytest.raises(ValueError, match="no layer may be called ids or grids"):
        semrsm.save_layers("x.npz", {"ids": np.ones((3, 4, 1))})
    with pytest.raises(ValueError, match="at least one"):
        semrsm.save_layers("x.npz", {})
    assert hashlib.sha256(Path("x.npz").read_bytes()).digest() == before
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("all of it")
    with pytest.raises(SemrsmError, match="mine holds something else already"):
        semrsm.save_layers("mine", layers)
    with pytest.raises(SemrsmError, match=r"must end in .npz, .safetensors or .zarr"):
        semrsm.save_layers("x.pt", layers)


@pytest.mark.parametrize(
    ("grids", "complaint"),
    [
        ('{"a": [2, 2]}', r"grids in x.npz says \[2, 2\] for a, which has 6 positions; it must be \[height, width\]"),
        ('{"a": [2, 3, 1]}', r"says \[2, 3, 1\] for a"),
        ('{"a": "2x3"}', "says 2x3 for a"),
        ('{"a": [-2, -3]}', r"says \[-2, -3\] for a"),
        ("{", "cannot read ids and grids in x.npz"),
    ],
)
def test_wrong_grids_are_named(grids: str, complaint: str) -> None:
    np.savez("x.npz", a=np.ones((3, 6, 4)), grids=np.array(grids))
    with pytest.raises(SemrsmError, match=complaint):
        semrsm.read_layers("x.npz")


def test_a_layer_may_be_called_grids_where_it_is_one() -> None:
    np.savez("x.npz", a=np.ones((3, 6, 4)), grids=np.zeros((3, 6, 4)))
    assert list(semrsm.read_layers("x.npz").arrays) == ["a", "grids"]


@pytest.mark.parametrize(
    ("shape", "expected", "grid"),
    [((3, 8), (3, 1, 8), None), ((3, 5, 8), (3, 5, 8), None), ((3, 8, 2, 4), (3, 8, 8), (2, 4))],
)
def test_what_thingsvision_writes_is_read_with_its_file_names(
    rng: np.random.Generator, shape: tuple[int, ...], expected: tuple[int, ...], grid: tuple[int, int] | None
) -> None:
    features = rng.normal(size=shape)
    Path("conv5").mkdir()
    np.save("conv5/features.npy", features)
    Path("conv5/file_names.txt").write_text("cat/1.png\ncat/2.png\ndog/1.png\n")
    for place in ("conv5", "conv5/features.npy"):
        found = semrsm.read_layers(place)
        x = np.asarray(found.arrays["conv5"][0:3])
        assert (x.shape, found.ids) == (expected, ("cat/1.png", "cat/2.png", "dog/1.png"))
        assert found.grids == ({} if grid is None else {"conv5": grid})
        if grid is not None:
            np.testing.assert_array_equal(x[1, 5], features[1, :, 1, 1])
    Path("conv5/file_names.txt").write_text("cat/1.png\n")
    with pytest.raises(SemrsmError, match=r"file_names.txt names 1 images, but conv5 in .* holds 3"):
        semrsm.read_layers("conv5")


@given(st.integers(0, 2**32 - 1))
def test_bfloat16_is_read_exactly(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(2, 3, 4, generator=generator).to(torch.bfloat16) for name in ("a", "b")}
    save_file(tensors, "half.safetensors")
    found = semrsm.read_layers("half.safetensors").arrays
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.to(torch.float32).numpy())
