"""`semrsm data` against a stand-in for the hub: what it lists, fetches, resumes, refuses, and what runs then read."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semrsm_cli.data import ImageNet, TinyImageNet
from semrsm_cli.data.published import PUBLISHED
from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import read_record
from semrsm_cli.models import load
from tests.command import Command, refuse, succeed
from tests.data.cityscapes_files import write as write_cityscapes
from tests.fetch.stand_in import COMMIT, LATER, Hub, stand_in

TINY, IMAGENET, RESNET = "zh-plus/tiny-imagenet", "ILSVRC/imagenet-1k", "microsoft/resnet-18"
FILES = {
    "README.md": b"a card",
    "data/train-00000-of-00001.parquet": bytes(range(256)) * 2000,
    "data/valid-00000-of-00001.parquet": bytes(range(255)) * 1000,
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for the hub and for torch."""
    folder = tmp_path / "hf" / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    return folder


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with stand_in(Hub({TINY: dict(FILES), IMAGENET: dict(FILES)}), monkeypatch) as served:
        yield served


def fetched(cache: Path, repository: str = TINY) -> dict[str, bytes]:
    """The files of the snapshot, by name."""
    snapshot = cache / f"datasets--{repository.replace('/', '--')}" / "snapshots" / COMMIT
    return {path.relative_to(snapshot).as_posix(): path.read_bytes() for path in snapshot.rglob("*") if path.is_file()}


def test_it_lists_data_sets_and_weights_and_where_they_lie(semrsm: Command, cache: Path) -> None:
    result = succeed(semrsm("data"))
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert {*PUBLISHED, "clip", "resnet18", "sam", "torchvision_vit_b16"} <= lines.keys()
    assert "trained" not in lines, "it names no weights"
    assert all(len(line) <= 80 for line in lines.values())
    for words in (("imagenet", "160 GB", "research", "missing", "hub"), ("cityscapes", "folder")):
        assert all(word in lines[words[0]] for word in words)
    assert "with pip" in lines["efficientnet_lite0"]
    assert str(cache) in result.stderr
    assert not cache.exists()
    assert str(cache / "models--microsoft--resnet-18") in succeed(semrsm("data", "list", "resnet18")).stdout
    assert not Path("outputs").exists()


def test_what_is_fetched_is_noted_verified_and_complete(semrsm: Command, hub: Hub, cache: Path) -> None:
    complaint = "the licence of tiny_imagenet (about 161.0 MB) is: research; read https://image-net.org/download"
    told = refuse(semrsm, "data", "fetch", "tiny_imagenet", complaint=complaint, exit_code=2)
    assert "add accept=true" in told
    assert not cache.exists()
    assert not hub.asked, "nothing is asked before"
    result = succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true"))
    assert f"{TINY} at {COMMIT} (main): 3 files, 767.0 kB" in result.stderr
    assert "its card states the licence mit" in result.stderr
    assert "complete" in result.stdout
    assert fetched(cache) == FILES
    record = read_record(TINY, "dataset")
    assert record is not None
    assert (record.commit, record.revision, record.missing(), record.damaged()) == (COMMIT, "main", [], [])
    blobs = {path.name for path in (cache / "datasets--zh-plus--tiny-imagenet" / "blobs").iterdir()}
    assert hashlib.sha256(FILES["data/train-00000-of-00001.parquet"]).hexdigest() in blobs, "as the hub's own client"
    assert "all that is here is whole" in succeed(semrsm("data", "check", "tiny_imagenet")).stderr
    assert "all that is here is whole" in succeed(semrsm("data", "check")).stderr


def test_the_commit_of_the_first_fetch_is_demanded_ever_after(semrsm: Command, hub: Hub, cache: Path) -> None:
    succeed(semrsm("data", "fetch", "tiny_imagenet", "split=val", "accept=true"))
    assert set(fetched(cache)) == {"README.md", "data/valid-00000-of-00001.parquet"}
    hub.commit = LATER
    n_asked = len(hub.asked)
    succeed(semrsm("data", "fetch", "tiny_imagenet"))  # accepted before
    assert fetched(cache) == FILES
    assert all(LATER not in path and "/api/" not in path for path, _, _ in hub.asked[n_asked:])
    succeed(semrsm("data", "fetch", "tiny_imagenet", "revision=main"))
    record = read_record(TINY, "dataset")
    assert record is not None
    assert record.commit == LATER
    assert len(hub.fetched("data/train-00000-of-00001.parquet")) == 1, "its content is in the cache"


def test_a_complete_set_needs_no_network(
    semrsm: Command, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    succeed(semrsm("data", "fetch", "tiny_imagenet"))
    succeed(semrsm("data", "check", "tiny_imagenet"))


def test_an_interrupted_fetch_is_resumed(semrsm: Command, hub: Hub, cache: Path) -> None:
    name = "data/train-00000-of-00001.parquet"
    part = cache / "datasets--zh-plus--tiny-imagenet" / "blobs" / hashlib.sha256(FILES[name]).hexdigest()
    part = part.with_name(f"{part.name}.incomplete")
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[name][:123_456])  # what a process that was killed left
    succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true"))
    assert hub.fetched(name) == ["bytes=123456-"]
    assert fetched(cache) == FILES


def test_a_broken_connection_is_taken_up_again(semrsm: Command, hub: Hub, cache: Path) -> None:
    hub.breaks_after = 3
    succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true"))
    assert hub.fetched("README.md") == ["", "bytes=3-"]
    assert fetched(cache) == FILES


def test_a_wrong_checksum_leaves_nothing(semrsm: Command, hub: Hub, cache: Path) -> None:
    hub.tells_wrong = True
    result = semrsm("data", "fetch", "tiny_imagenet", "accept=true")
    assert result.exit_code == 1
    assert "is not what was published: its git checksum is" in result.stderr.splitlines()[-1]
    assert not [path for path in cache.rglob("*") if path.is_file() and ".locks" not in path.parts]


def test_gated_data_say_where_to_ask(semrsm: Command, hub: Hub, cache: Path) -> None:
    hub.gated = True
    result = semrsm("data", "fetch", "imagenet", "split=val", "accept=true")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert f"is refused (401); accept its terms on {hub.url}/datasets/{IMAGENET}, then run hf auth login" in last
    assert not [path for path in cache.rglob("*") if path.is_file() and ".locks" not in path.parts]


def test_without_a_network_it_is_one_line_and_nothing_is_written(
    semrsm: Command, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("data", "fetch", "tiny_imagenet", "accept=true")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    refuse(semrsm, *arguments, complaint="http://127.0.0.1:9 cannot be reached (Connection refused)", exit_code=1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refuse(semrsm, *arguments, complaint="HF_HUB_OFFLINE is set", exit_code=1)
    assert not cache.exists()


def test_a_full_disk_is_said_before_and_while_it_fills(
    semrsm: Command, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = cache / "datasets--zh-plus--tiny-imagenet" / "blobs"
    blobs.mkdir(parents=True)
    readme = hashlib.sha1(b"blob 6\0a card").hexdigest()
    (blobs / f"{readme}.incomplete").symlink_to("/dev/full")
    result = semrsm("data", "fetch", "tiny_imagenet", "accept=true")
    assert result.exit_code == 1
    assert "which takes 6 Bytes: No space left on device; what has come is kept" in result.stderr.splitlines()[-1]
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    result = semrsm("data", "fetch", "tiny_imagenet", "accept=true")
    assert result.exit_code == 1
    assert "has room for 1.0 kB, and 767.0 kB are to come; set HF_HOME" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_check_names_what_is_damaged_and_fetch_mends_it_alone(
    semrsm: Command, hub: Hub, cache: Path, damage: str
) -> None:
    succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true"))
    (path,) = (path for path in cache.rglob("train-*.parquet"))
    content = path.read_bytes()
    if damage == "missing":
        path.resolve().unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b"!")
    result = semrsm("data", "check", "tiny_imagenet")
    assert result.exit_code == 1
    how = "damaged" if damage == "flipped" else "missing"
    assert f"1 {how}, the first is data/train-00000-of-00001.parquet; run semrsm data fetch" in result.stderr
    n_asked = len(hub.asked)
    succeed(semrsm("data", "fetch", "tiny_imagenet"))
    assert [path.rpartition("/")[2] for path, _, _ in hub.asked[n_asked:]] == ["train-00000-of-00001.parquet"]
    assert fetched(cache) == FILES


def test_the_steps_for_what_people_alone_may_fetch(
    semrsm: Command, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, step in (("cityscapes", "csDownload"), ("egoobjects", "EgoObjectsV1_images.zip")):
        result = semrsm("data", "fetch", name)
        assert result.exit_code == 1
        assert f"then run semrsm data check {name}" in result.stderr.splitlines()[-1]
        assert step in result.stderr
        told = refuse(semrsm, "data", "check", name, complaint=f"run semrsm data fetch {name}", exit_code=1)
        assert f"where {name} lies is not known" in told
    monkeypatch.setenv("SEMRSM_DATA", str(tmp_path))
    write_cityscapes(tmp_path / "cityscapes")
    refuse(semrsm, "data", "check", "cityscapes", complaint="pictures, not 500; semrsm data", exit_code=1)
    monkeypatch.setattr("semrsm_cli.data.cityscapes._N_PUBLISHED", counts_of(tmp_path / "cityscapes"))
    assert "all that is here is whole" in succeed(semrsm("data", "check", "cityscapes")).stderr
    assert "cityscapes is whole" in succeed(semrsm("data", "fetch", "cityscapes")).stderr
    next((tmp_path / "cityscapes" / "gtFine" / "val").rglob("*labelIds.png")).unlink()
    refuse(semrsm, "data", "check", "cityscapes", complaint="labelIds.png is missing; unpack", exit_code=1)


def counts_of(root: Path) -> dict[str, int]:
    return {split: len(list((root / "leftImg8bit" / split).rglob("*.png"))) for split in ("val", "train")}


def test_wrong_settings_are_refused(semrsm: Command, cache: Path) -> None:
    for arguments, complaint in (
        (("chek",), "there is no chek; say list, check, fetch, or choose from cifar100, tiny_imagenet"),
        (("fetch",), "action=fetch needs to know what; choose from"),
        (("fetch", "clip", "split=val"), "split=val is of a data set, not of clip"),
        (("seed=1",), "seed"),
    ):
        refuse(semrsm, "data", *arguments, complaint=complaint, exit_code=2)


def test_runs_read_what_was_fetched(
    semrsm: Command, hub: Hub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.data.test_hub import parquet_clone_with_card, shades_of

    clone = parquet_clone_with_card(tmp_path / "clone")
    files = {path.relative_to(clone).as_posix(): path.read_bytes() for path in clone.rglob("*") if path.is_file()}
    hub.files[TINY] = hub.files[IMAGENET] = files
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    with pytest.raises(SemrsmError, match="is not known; run semrsm data fetch tiny_imagenet, set dataset"):
        TinyImageNet().images(Path())
    succeed(semrsm("data", "fetch", "tiny_imagenet", "accept=true", "split=val"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    images = TinyImageNet().images(Path())
    assert shades_of(images) == [40, 50]
    assert np.all([image_id.startswith("validation/") for image_id in images.ids])
    with pytest.raises(SemrsmError, match=r"fetched by semrsm data fetch tiny_imagenet split=train"):
        TinyImageNet(split="train").images(Path())
    with pytest.raises(SemrsmError, match=r"run semrsm data fetch imagenet split=val"):
        ImageNet(hub=IMAGENET).images(Path())


def test_weights_are_fetched_checked_and_read(
    semrsm: Command, hub: Hub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models.checkpoints import resnet

    torch.manual_seed(0)
    for part in resnet():
        part.save_pretrained(tmp_path / "saved")
    saved = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    hub.files[RESNET] = saved | {"pytorch_model.bin": b"other", "tf_model.h5": b"x", "onnx/model.onnx": b"y"}
    succeed(semrsm("data", "fetch", "resnet18", "accept=true"))
    assert {path.rpartition("/")[2] for path, _, _ in hub.asked if "/resolve/" in path} == set(saved)
    succeed(semrsm("data", "check", "resnet18"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    network, own = load("huggingface", RESNET), load("huggingface", str(tmp_path / "saved"))
    assert network.label == RESNET
    assert network.identity["weights"] == own.identity["weights"]
    assert network.identity["name"] == RESNET
    (weights,) = (path for path in cache.rglob("model.safetensors"))
    weights.resolve().unlink()
    with pytest.raises(SemrsmError, match=r"run `semrsm data fetch resnet18`"):
        load("huggingface", RESNET)


def test_torchvisions_weights_are_fetched_by_their_checksum(
    semrsm: Command, hub: Hub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights" * 1000
    name = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    hub.files["a/b"] = {name: content}
    entry = SimpleNamespace(url=f"{hub.url}/a/b/resolve/{COMMIT}/{name}")
    monkeypatch.setattr("semrsm_cli.models.from_torchvision._published_weights", lambda *_: entry)
    place = tmp_path / "torch" / "hub" / "checkpoints" / name
    refuse(semrsm, "data", "check", "torchvision_resnet18", complaint=f"{place} is missing; run semrsm", exit_code=1)
    succeed(semrsm("data", "fetch", "torchvision_resnet18", "accept=true"))
    assert place.read_bytes() == content
    succeed(semrsm("data", "check", "torchvision_resnet18"))
    place.write_bytes(content[:-1])
    refuse(semrsm, "data", "check", "torchvision_resnet18", complaint="is damaged; run semrsm data", exit_code=1)
    succeed(semrsm("data", "fetch", "torchvision_resnet18"))
    assert place.read_bytes() == content
