"""Loading by source and name: published weights, weights of the user's, and what is said when they are absent."""

import http.server
import json
import pickle
import socket
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import capture, load
from semrsm_cli.models.efficientnet_lite0 import _timm_name
from semrsm_cli.models.from_torchvision import _download_weights
from semrsm_cli.models.hub import _is_reachable, cache_first

EGYPTIAN_CAT, ESPRESSO = 285, 967


def test_the_embedded_network_knows_a_cat_and_an_espresso() -> None:
    network = load("timm", "tf_efficientnet_lite0")
    photographs = [Image.fromarray(photograph()) for photograph in (skimage.data.chelsea, skimage.data.coffee)]
    batch = torch.stack([network.preprocess(photograph) for photograph in photographs])
    logits = capture(network, batch, ["blocks.6"], cls_token="drop").logits
    assert logits is not None
    assert logits.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO]
    white = network.normalise(Image.new("RGB", (8, 6), (255, 127, 0)))
    assert white.shape == (3, 6, 8)
    torch.testing.assert_close(white[:, 0, 0], torch.tensor([1.0, 0.0, -127 / 128]))


def test_the_embedded_weights_get_timms_names() -> None:
    for stored, expected in (
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn1.running_var", "bn2.running_var"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.2._bn0.bias", "blocks.1.1.bn1.bias"),
        ("_blocks.15._bn2.num_batches_tracked", "blocks.6.0.bn3.num_batches_tracked"),
    ):
        assert _timm_name(stored) == expected


@pytest.mark.parametrize("library", ["timm", "torchvision"])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_state_dict_of_the_users_is_loaded(library: str, suffix: str, tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(5)
    state = torchvision.models.resnet18(num_classes=7).state_dict()  # timm gives it the same names
    path = tmp_path / f"own.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    network = load("checkpoint", f"{library}:resnet18", weights=str(path), options={"num_classes": 7})
    assert all(torch.equal(value, state[name]) for name, value in network.module.state_dict().items())
    assert network.n_classes == 7
    assert not network.module.training
    with pytest.raises(SemrsmError, match=r"fc\.bias: \[7\] in the file, \[1000\] in the network; set model\.options"):
        load("checkpoint", f"{library}:resnet18", weights=str(path))
    with pytest.raises(SemrsmError, match=r"lack \d+ of the tensors of resnet34, the first is layer1\.2"):
        load("checkpoint", f"{library}:resnet34", weights=str(path), options={"num_classes": 7})


def test_published_weights_of_torchvision_come_from_torchs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(6)
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, folder / "resnet18-f37072fd.pth")
    network = load("torchvision", "resnet18", revision="IMAGENET1K_V1")
    assert torch.equal(network.module.state_dict()["fc.weight"], state["fc.weight"])
    image = Image.fromarray(np.full((300, 400, 3), 124, np.uint8))
    own = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()(image)
    assert torch.equal(network.preprocess(image), own)
    with pytest.raises(SemrsmError, match="no weights 'V9' of resnet18, choose from IMAGENET1K_V1"):
        load("torchvision", "resnet18", revision="V9")


def test_torchvision_weights_without_network_say_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("semrsm_cli.fetch.download.get", no_network)
    with pytest.raises(
        SemrsmError,
        match=r"run semrsm data fetch torchvision_resnet18, or fetch https://download\.pytorch\.org/\S+ .*TORCH_HOME",
    ) as caught:
        load("torchvision", "resnet18")
    assert str(tmp_path / "hub" / "checkpoints") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_downloads_that_stop_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("semrsm_cli.fetch.download._SILENT_SECONDS", 0.2)
    beginning = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    for case, answer, is_closed, complaint in (
        ("never answers", b"", False, "timed out"),
        ("falls silent", beginning, False, "timed out"),
        ("breaks off", beginning, True, "timed out"),  # and is not taken up again
    ):
        with subtests.test(case), socket.create_server(("127.0.0.1", 0)) as server:
            open_connections: list[socket.socket] = []
            thread = threading.Thread(target=answer_once, args=(server, answer, is_closed, open_connections))
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/resnet18-f37072fd.pth"
            with pytest.raises(
                SemrsmError, match=rf"can't be downloaded \(.*{complaint}.*\); fetch {url} on"
            ) as caught:
                _download_weights("resnet18", SimpleNamespace(url=url))
            assert "\n" not in str(caught.value)
            assert not list((tmp_path / "hub" / "checkpoints").glob("*.pth")), "half a file has another name"
            thread.join()
            for connection in open_connections:
                connection.close()


def answer_once(server: socket.socket, answer: bytes, is_closed: bool, left_open: list[socket.socket]) -> None:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(answer)
    connection.close() if is_closed else left_open.append(connection)


def test_timm_weights_without_network_say_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SemrsmError, match=r"run `hf download timm/resnet10t\.c3_in1k`") as caught:
        load("timm", "resnet10t")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_timms_pretrained_weights_are_complete_or_refused(tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(7)
    model = timm.create_model("resnet10t")
    save_for_hf(model, tmp_path, safe_serialization=True)
    name = f"local-dir:{tmp_path}"
    assert torch.equal(load("timm", name).module.state_dict()["fc.weight"], model.state_dict()["fc.weight"])
    with pytest.raises(SemrsmError, match="tell 1000 classes apart, not 7"):
        load("timm", name, options={"num_classes": 7})
    assert load("timm", name, options={"num_classes": 0}).n_classes is None
    left = {k: v for k, v in model.state_dict().items() if not k.startswith("layer4")}
    save_file(left, tmp_path / "model.safetensors")
    n_lost = sum(name.startswith("layer4") and "num_batches" not in name for name in model.state_dict())
    with pytest.raises(SemrsmError, match=rf"lack {n_lost} of the tensors of .*, the first is layer4\.0\.bn1\.bias"):
        load("timm", name)


def test_wrong_names_and_options_are_one_line(subtests: pytest.Subtests) -> None:
    for source, name, settings, complaint in (
        ("torchvision", "resnet19", {}, "no classifier 'resnet19', choose from .*resnet18"),
        ("torchvision", "resnet18", {"options": {"layers": 3}}, "cannot build resnet18 with model.options"),
        ("timm", "resnet19", {}, "no model 'resnet19', choose from .*resnet18"),
        ("timm", "resnet18", {"options": {"colour": 3}}, "cannot build resnet18 with model.options"),
        ("timm", "resnet18", {"revision": "main"}, "timm has no revisions"),
        ("timm", "resnet18", {"weights": "nowhere.pt"}, "no weights file nowhere.pt"),
        ("checkpoint", "resnet18", {"weights": "x.pt"}, "write LIBRARY:NAME"),
        ("checkpoint", "timm:resnet18", {"weights": "x.pt"}, "no checkpoint 'x.pt'"),
    ):
        with subtests.test(complaint, source=source):
            with pytest.raises(SemrsmError, match=complaint) as caught:
                load(source, name, **({"weights": "random"} | settings))
            assert "\n" not in str(caught.value)


def test_timms_options_load_no_files(tmp_path: Path, subtests: pytest.Subtests) -> None:
    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "ran").touch, ()

    path = str(tmp_path / "own.pth")
    torch.save({"state_dict": Code()}, path)
    for option, settings in (
        ("checkpoint_path", {"checkpoint_path": path}),
        ("pretrained", {"pretrained": True}),
        ("pretrained_cfg.file", {"pretrained_cfg": {"file": path, "num_classes": 1000}}),
        ("pretrained_cfg_overlay.file", {"pretrained_cfg_overlay": {"file": path, "source": "local-dir"}}),
        ("pretrained_cfg_overlay.hf_hub_id", {"pretrained_cfg_overlay": {"hf_hub_id": "nobody/own"}}),
        ("pretrained_cfg_overlay.url", {"pretrained_cfg_overlay": {"url": f"file://{path}"}}),
    ):
        for weights in ("random", "pretrained"):
            with subtests.test(option, weights=weights):
                with pytest.raises(SemrsmError, match=rf"model\.options\.{option} .* model\.weights=PATH$") as caught:
                    load("timm", "resnet10t", weights=weights, options=settings)
                assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    overlay = {"pretrained_cfg_overlay": {"mean": (0.0, 0.0, 0.0)}}
    assert load("timm", "resnet10t", weights="random", options=overlay).normalise.mean == (0, 0, 0)


def test_a_pickle_in_timms_folder_is_not_run(tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "ran").touch, ()

    save_for_hf(timm.create_model("resnet10t"), tmp_path, safe_serialization=False)
    torch.save({"state_dict": Code()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SemrsmError, match="timm has no weights for local-dir:") as caught:
        load("timm", f"local-dir:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_names_are_known_before_any_library_is_imported() -> None:
    code = "import sys, semrsm_cli.models; print({'torch', 'timm', 'torchvision', 'transformers'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_identity_tells_networks_apart() -> None:
    network = load("timm", "resnet10t", weights="random")
    assert set(network.identity) >= {"source", "name", "revision", "weights", "preprocessing", "options"}
    assert all(isinstance(value, str) for value in network.identity.values())
    other = load("timm", "resnet10t", weights="random", options={"num_classes": 7})
    assert network.identity["weights"] != other.identity["weights"]
    assert other.identity["options"] == "num_classes=7"


def test_identity_holds_the_configuration(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """An edit beside the same weights makes another network; a note of who wrote a file, or where, does not."""
    for source, write, edit, note in (
        ("huggingface", write_vit, {"hidden_act": "tanh"}, {"transformers_version": "4.0", "_name_or_path": "/old"}),
        ("timm", write_resnet, {"model_args": {"output_stride": 16}}, {}),
    ):
        with subtests.test(source):
            folder = tmp_path / source
            config = write(folder)
            name = f"local-dir:{folder}" if source == "timm" else str(folder)
            before = load(source, name).identity
            change_json(config, note)
            assert load(source, name).identity == before
            change_json(config, edit)
            after = load(source, name).identity
            assert {key for key in before if after[key] != before[key]} == {"configuration"}


def write_vit(folder: Path) -> Path:
    from tests.models.checkpoints import vit

    model, processor = vit()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder / "config.json"


def write_resnet(folder: Path) -> Path:
    import timm
    from timm.models import save_for_hf

    save_for_hf(timm.create_model("resnet10t"), folder, safe_serialization=True)
    return folder / "config.json"


def change_json(path: Path, changes: dict[str, Any]) -> None:
    """Change entries of a file, and of the dictionaries in it."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    path.write_text(json.dumps(content))


def test_identity_holds_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    one = load("torchvision", "resnet18", weights="random").identity["versions"]
    assert [part.split()[0] for part in one.split(", ")] == ["torch", "torchvision", "timm", "transformers"]
    monkeypatch.setattr("semrsm_cli.models.zoo.version", lambda library: "99.0")
    other = load("torchvision", "resnet18", weights="random").identity["versions"]
    assert other == "torch 99.0, torchvision 99.0, timm 99.0, transformers 99.0"


@pytest.mark.parametrize(
    ("source", "name"),
    [("timm", "resnet10t"), ("torchvision", "resnet18"), ("huggingface", "microsoft/resnet-18")],
)
def test_preprocessing_can_be_sent_to_other_processes(source: str, name: str) -> None:
    network = load(source, name, weights="random")
    image = Image.fromarray(np.arange(64 * 48 * 3, dtype=np.uint8).reshape(64, 48, 3))
    for prepare in (network.preprocess, network.normalise):
        sent = pickle.loads(pickle.dumps(prepare))
        assert torch.equal(sent(image), prepare(image))


def test_image_size_of_timm_reaches_the_preprocessing() -> None:
    network = load("timm", "vit_tiny_patch16_224", weights="random", options={"img_size": 96, "depth": 1})
    assert network.preprocess(Image.new("RGB", (200, 100))).shape == (3, 96, 96)


@pytest.fixture
def server() -> Iterator[str]:
    """A server that knows no page."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_reachable_is_any_answer(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", server)
    assert _is_reachable()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert not _is_reachable()


def test_without_network_the_cache_alone_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with cache_first():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
