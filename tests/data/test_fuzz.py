"""Readers of foreign files against files that are wrong by chance: they read them, or say in one line why not."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from semrsm_cli.data import AspectRatio, EgoObjects, OnError
from semrsm_cli.data.annotations import ANNOTATIONS, METADATA
from semrsm_cli.data.arrays import pin_array, read_array
from semrsm_cli.data.images import open_image
from semrsm_cli.errors import SemrsmError
from tests.data import egoobjects_files as files

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # as users have it; Pillow warns before it goes on

EXAMPLES = int(os.environ.get("SEMRSM_FUZZ_EXAMPLES", "60"))
"""Inputs of each test; set it to some thousands for a thorough run."""

fuzz = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
damage = st.tuples(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8), st.integers(0, 2**16))


@contextmanager
def one_line_at_most() -> Iterator[None]:
    """Let pass what is answered in one line."""
    answer = ""
    try:
        yield
    except SemrsmError as error:
        answer = str(error)
    assert "\n" not in answer


def damaged(content: bytes, harm: tuple[list[tuple[int, int]], int]) -> bytes:
    """Some bytes replaced, and cut off at a point that may lie behind the end."""
    changes, length = harm
    spoilt = bytearray(content)
    for place, value in changes:
        spoilt[place % len(spoilt)] = value
    return bytes(spoilt[: 1 + length % (2 * len(spoilt))])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small picture of each format."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    paths = [folder / f"x.{suffix}" for suffix in ("png", "jpg", "gif", "bmp", "ppm", "tif", "webp", "jp2", "avif")]
    for path in paths:
        if path.suffix in Image.registered_extensions():
            Image.fromarray(noise).save(path)
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "grey.png")
    Image.fromarray(noise).save(folder / "lzw.tif", compression="tiff_lzw")
    Image.new("P", (9, 9)).save(folder / "palette.png", transparency=0)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@fuzz
@given(data=st.data(), harm=damage)
def test_damaged_pictures(tmp_path_factory, pictures, data, harm):
    name = data.draw(st.sampled_from(sorted(pictures)))
    path = tmp_path_factory.getbasetemp() / f"fuzzed-{name}"
    path.write_bytes(damaged(pictures[name], harm))
    with one_line_at_most():
        assert open_image(path).mode == "RGB"


@fuzz
@given(
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"P5 ", b"RIFF"]),
    rest=st.binary(),
)
def test_bytes_as_pictures(tmp_path_factory, head, rest):
    path = tmp_path_factory.getbasetemp() / "bytes.png"
    path.write_bytes(head + rest)
    with one_line_at_most():
        assert open_image(path).mode == "RGB"


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small array of each kind of file."""
    folder = tmp_path_factory.mktemp("arrays")
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(folder / "x.npy", values)
    np.savez(folder / "x.npz", a=values)
    np.savez_compressed(folder / "two.npz", a=values, b=values)
    save_file({"x": values}, folder / "x.safetensors")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@fuzz
@given(data=st.data(), harm=damage)
def test_damaged_arrays(tmp_path_factory, arrays, data, harm):
    name = data.draw(st.sampled_from(sorted(arrays)))
    path = tmp_path_factory.getbasetemp() / f"fuzzed-{name}"
    path.write_bytes(damaged(arrays[name], harm))
    with one_line_at_most():
        pin_array(read_array(f"{path}#a" if name.startswith("two") else str(path)))


@fuzz
@given(suffix=st.sampled_from(["npy", "npz", "safetensors"]), content=st.binary())
def test_bytes_as_arrays(tmp_path_factory, suffix, content):
    path = tmp_path_factory.getbasetemp() / f"bytes.{suffix}"
    path.write_bytes((b"\x93NUMPY\1\0" if suffix == "npy" else b"") + content)
    with one_line_at_most():
        pin_array(read_array(str(path)))


@fuzz
@given(part=st.sampled_from(["zarr.json", "c/0/0/0"]), harm=damage)
def test_damaged_zarr(tmp_path_factory, part, harm):
    folder = tmp_path_factory.mktemp("zarr")
    zarr.save_array(folder, np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    (folder / part).write_bytes(damaged((folder / part).read_bytes(), harm))
    with one_line_at_most():
        pin_array(read_array(str(folder)))


texts = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(
    ["../x", "/x", "x" * 300, "a/b.jpg"]
)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 2**63])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def replaced(content: Any, value: Any, draw: Any) -> Any:
    """The content with a part at random replaced by the value."""
    if isinstance(content, dict | list) and content and draw(st.integers(0, 3)):
        keys = sorted(content) if isinstance(content, dict) else range(len(content))
        key = draw(st.sampled_from(keys))
        content = content.copy()
        content[key] = replaced(content[key], value, draw)
        return content
    return value


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EgoObjects with one scene."""
    content = files.content()
    content["images"] = content["images"][:4]
    return files.write(tmp_path_factory.mktemp("fuzz") / "egoobjects", content)


@fuzz
@given(data=st.data(), value=values, name=st.sampled_from([ANNOTATIONS, METADATA]))
def test_wrong_annotations(root, data, value, name):
    original = (root / name).read_text()
    try:
        (root / name).write_text(json.dumps(replaced(json.loads(original), value, data.draw)))
        dataset = EgoObjects(
            root=str(root),
            aspect_ratio=data.draw(st.sampled_from(AspectRatio)),
            official_categories=data.draw(st.booleans()),
            on_error=data.draw(st.sampled_from(OnError)),
            width=32,
            height=18,
        )
        with one_line_at_most():
            found = dataset.labelled_images(root)
            " ".join((*found.images.ids, *found.classes, *found.scenes, *found.videos)).encode()
            dataset.retrieval_set(root, 0).queries.images.fingerprint()
    finally:
        (root / name).write_text(original)


@fuzz
@given(content=st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_json_as_annotations(root, content):
    original = (root / ANNOTATIONS).read_bytes()
    try:
        (root / ANNOTATIONS).write_bytes(content)
        with one_line_at_most():
            EgoObjects(root=str(root)).labelled_images(root)
    finally:
        (root / ANNOTATIONS).write_bytes(original)
