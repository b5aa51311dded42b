"""Images through a network into the store."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import Images, Photos
from semrsm_cli.data.content import Files, HashFile, hash_file, pin
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import Reader
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.models import Autocast, Framing, Network
from semrsm_cli.pipeline.networks import load_network
from semrsm_cli.pipeline.represent import Extracted, represent
from semrsm_cli.pipeline.sources import from_model
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.stages import VERSIONS
from semrsm_cli.store import Precision

MODEL = ModelConfig(label="small", source="timm", name="test_resnet", weights="random", layers=["all"])  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(MODEL, RuntimeConfig())


@dataclass(frozen=True)
class Wide:
    """Makes the pictures of another reader twice as wide as high."""

    reader: Reader

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        picture, key = self.reader.read(image_id)
        return picture.resize((200, 100)), f"{key} wide"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        return f"{self.reader.version_key(image_id, hash_file)} wide"

    def header(self, image_id: str) -> Header:
        return Header(200, 100)


def wide(images: Images) -> Images:
    return replace(images, reader=Wide(images.reader))


@pytest.fixture(scope="module")
def images() -> Images:
    return Photos(regions=1).images(Path()).draw(5, seed=0)


def same(one: Extracted, other: Extracted, tolerance: float = 0) -> None:
    assert list(one.layers) == list(other.layers)
    for name, layer in one.layers.items():
        np.testing.assert_allclose(layer, other.layers[name], rtol=tolerance, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(one.logits, other.logits, rtol=tolerance, atol=tolerance)


def test_one_pass_gives_all_layers_and_logits(network: Network, images: Images) -> None:
    extracted = represent(network, images, MODEL, RuntimeConfig())
    assert len(extracted.layers) > 1
    assert extracted.logits is not None
    assert extracted.logits.shape == (5, network.n_classes)
    for name, layer in extracted.layers.items():
        assert layer.ids == images.ids, name
        assert layer.grid is not None, name
        assert layer.shape[1] == np.prod(layer.grid), name


def test_what_is_stored_is_not_computed_again(network: Network, images: Images, cache: Path) -> None:
    runtime = RuntimeConfig(batch_size=2)
    first = represent(network, images, MODEL, runtime)
    before = {name: np.asarray(layer) for name, layer in first.layers.items()}
    with pytest.MonkeyPatch.context() as patch:
        forbidden = "a forward pass although everything is in the store"
        patch.setattr("semrsm_cli.pipeline.chunks.Capture", lambda *_, **__: pytest.fail(forbidden))
        same(represent(network, images, MODEL, runtime), first)
    key = next(iter(first.layers.values())).key
    (cache / "representations" / key / "concept_vectors" / "c" / "1" / "0" / "0").unlink()
    for name, layer in represent(network, images, MODEL, runtime).layers.items():
        np.testing.assert_array_equal(layer, before[name])


def test_each_version_of_a_stage_has_representations_of_its_own(
    network: Network, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {}
    for stage in ("none", *VERSIONS):
        monkeypatch.setattr("semrsm_cli.stages.VERSIONS", dict(VERSIONS) | {stage: 99})
        keys[stage] = next(iter(represent(network, images, MODEL, RuntimeConfig()).layers.values())).key
    assert keys["none"] == keys["matching"] == keys["measures"]
    assert len({keys[stage] for stage in ("none", "images", "representations")}) == 3


def test_each_framing_has_representations_of_its_own(images: Images) -> None:
    keys, values = set(), []
    for framing in Framing:
        model = replace(MODEL, framing=framing)
        extracted = represent(load_network(model, RuntimeConfig()), wide(images), model, RuntimeConfig())
        last = [*extracted.layers.values()][-1]
        keys.add(last.key)
        values.append(np.asarray(last))
    assert len(keys) == 3
    assert not any(np.allclose(values[i], values[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_framing_is_refused_where_images_are_made_squares(images: Images, tmp_path: Path) -> None:
    model, folder = replace(MODEL, framing=Framing.pad), RunFolder(tmp_path, command=[])
    network = load_network(model, RuntimeConfig())
    with pytest.raises(ConfigError, match=r"model\.framing=pad changes nothing where size= or a crop makes a square"):
        from_model(network, images, model, RuntimeConfig(), folder, prepare=network.normalise)


def test_batches_and_processes_change_the_last_digits_at_most(network: Network, images: Images) -> None:
    expected = represent(network, images, MODEL, RuntimeConfig())
    same(represent(network, images, MODEL, RuntimeConfig(batch_size=2)), expected, 1e-3)


def test_threads_and_processes_change_no_bit(images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = []
    for number, (ours, of_torch, num_workers) in enumerate(((1, 1, 0), (3, 1, 0), (2, 2, 0), (1, 2, 0), (2, 1, 1))):
        monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / str(number)))
        before = torch.get_num_threads()
        torch.set_num_threads(of_torch)
        runtime = RuntimeConfig(batch_size=1, threads=ours, num_workers=num_workers)
        try:
            found.append(represent(load_network(MODEL, runtime), images, MODEL, runtime))
            assert torch.get_num_threads() == of_torch
        finally:
            torch.set_num_threads(before)
    for other in found[1:]:
        same(other, found[0])


def test_autocast_is_another_key_whose_values_differ_in_late_digits_and_are_stored_as_ever(images: Images) -> None:
    found = {}
    for autocast in Autocast:
        runtime = RuntimeConfig(autocast=autocast)
        found[autocast] = represent(load_network(MODEL, runtime), images, MODEL, runtime)
    expected = found.pop(Autocast.none)
    for name, layer in expected.layers.items():
        for other in found.values():
            assert other.layers[name].key != layer.key
            assert other.layers[name].dtype == np.float32
            scale = np.abs(layer[:]).mean()
            assert 0 < np.abs(other.layers[name][:] - layer[:]).mean() < 0.05 * scale
    assert len({layer.key for extracted in found.values() for layer in extracted.layers.values()}) == 2 * len(
        expected.layers
    )


def test_the_kind_of_device_is_in_the_key(network: Network, images: Images) -> None:
    layer = next(iter(represent(network, images, MODEL, RuntimeConfig()).layers.values()))
    assert layer.array.attributes["settings"]["device"] == "cpu"  # type: ignore[index, call-overload]


def test_an_accelerator_is_fed_by_processes_and_holds_two_batches_a_cpu_one_per_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("semrsm_cli.config.runtime.available_cores", lambda: 12)
    on_cpu, on_cuda = RuntimeConfig(), RuntimeConfig(device="cuda:1")
    assert (on_cpu.n_readers, on_cpu.n_passes, on_cpu.images_per_pass) == (0, 12, 10)
    assert (on_cuda.device_kind, on_cuda.n_readers, on_cuda.n_passes, on_cuda.images_per_pass) == ("cuda", 8, 2, 64)
    chosen = RuntimeConfig(device="cuda", num_workers=3, threads=5, batch_size=7)
    assert (chosen.n_readers, chosen.n_passes, chosen.images_per_pass) == (3, 5, 7)


@pytest.mark.parametrize("is_users_code", [False, True])
@pytest.mark.parametrize(("memory_gib", "most"), [(64, 2), (1e-9, 1)])
def test_no_more_chunks_at_once_than_fit_into_memory(
    memory_gib: float, most: int, is_users_code: bool, images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path))
    runtime = RuntimeConfig(batch_size=2, threads=2, memory_gib=memory_gib)
    network = load_network(MODEL, runtime)
    monkeypatch.setattr(Network, "for_thread", lambda self: self)  # it could not copy what is counted here
    begun, at_once, sizes, both = [0], [], [], threading.Barrier(2)

    def forward(batch: torch.Tensor) -> torch.Tensor:
        begun[0] += 1
        at_once.append(begun[0])
        sizes.append(len(batch))
        if most > 1 and 1 < len(at_once) <= 3:
            both.wait(timeout=60)  # two passes after the first are in the network together
        logits = network.forward(batch)
        begun[0] -= 1
        return logits

    represent(replace(network, forward=forward, is_users_code=is_users_code), images, MODEL, runtime)
    assert max(at_once) == most
    # one image is tried before, but no pass more is made by code that may keep something of it
    assert sorted(sizes) == ([1, 2, 2] if is_users_code else [1, 1, 2, 2])
    assert is_users_code or sizes[0] == 1


def test_logits_stay_whole_in_half_precision(network: Network, images: Images) -> None:
    expected = represent(network, images, MODEL, RuntimeConfig())
    half = represent(network, images, MODEL, RuntimeConfig(precision=Precision.float16))
    assert {layer.dtype for layer in half.layers.values()} == {np.dtype(np.float16)}
    same(half, expected, 2e-3)
    np.testing.assert_array_equal(half.logits, expected.logits)


def test_a_device_that_torch_lacks_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"^runtime\.device=warp is not available: .*; use cpu$"):
        load_network(MODEL, RuntimeConfig(device="warp"))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_picture_that_changes_during_the_run_stops_it(network: Network, tmp_path: Path, num_workers: int) -> None:
    ids = tuple(f"{i}.png" for i in range(6))
    for i, name in enumerate(ids):
        Image.new("RGB", (40, 40), (40 * i, 0, 0)).save(tmp_path / name)
    pinned = pin(Images("made", ids, ids, Files(tmp_path)))
    runtime = RuntimeConfig(batch_size=2, num_workers=num_workers)
    (tmp_path / "2.png").write_bytes((tmp_path / "5.png").read_bytes())
    with pytest.raises(SemrsmError, match=r"^the image 2\.png was changed while this ran") as error:
        represent(network, pinned, MODEL, runtime)
    assert "\n" not in str(error.value)
    chunks = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("c/*/0/0"))
    kept = {path.parts[-3] for path in chunks}
    assert "0" in kept
    assert "1" not in kept, "of the chunk that it is in nothing was kept"
    Image.new("RGB", (40, 40), (80, 0, 0)).save(tmp_path / "2.png")
    whole = represent(network, pinned, MODEL, runtime)
    (tmp_path / "again").mkdir()
    for name in ids:
        (tmp_path / "again" / name).write_bytes((tmp_path / name).read_bytes())
    moved = pin(Images("made", ids, ids, Files(tmp_path / "again")))
    again = represent(network, moved, MODEL, runtime)
    assert [layer.key for layer in again.layers.values()] == [layer.key for layer in whole.layers.values()]
