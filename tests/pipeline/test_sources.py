"""Representations from files and from the store's keys."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.config import RuntimeConfig
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.grams import Comparison, gram_in_store
from semrsm_cli.pipeline.sources import Source, from_stored_or_files, read_layer, read_rows, require_same_images
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Centering, Invariance, Matcher
from semrsm_cli.store import Precision, Writer


@pytest.fixture
def x(rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Two images, in an empty folder with a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path / "cache"))
    return rng.normal(size=(2, 6, 4)).astype(np.float32)


def keep(x: np.ndarray, layer: str, ids: tuple[str, str] = ("cow", "dog")) -> str:
    writer = Writer({"layer": layer}, ids, chunk=2, precision=Precision.float32)
    writer.write(0, x, (2, 3))
    return writer.key


def test_a_layer_has_the_name_of_its_file_and_a_key_of_its_content(x: np.ndarray) -> None:
    np.save("features.npy", x)
    np.savez("several.npz", early=x, late=2 * x)
    for location, name, expected in (("features.npy", "features", x), ("several.npz#late", "several", 2 * x)):
        layer = read_layer(location)
        assert (layer.name, layer.grid) == (name, None), location
        np.testing.assert_array_equal(np.asarray(layer.x[0:2]), expected)
    assert read_layer("features.npy").key == read_layer("several.npz#early").key != read_layer("several.npz#late").key
    with pytest.raises(SemrsmError):
        read_layer("several.npz")


def test_a_file_that_is_rewritten_does_not_poison_the_store(x: np.ndarray) -> None:
    np.save("features.npy", x)
    first = read_layer("features.npy")
    np.save("features.npy", 2 * x)
    folder = RunFolder(Path("run"), command=[])
    with pytest.raises(SemrsmError, match=r"features\.npy was changed while this ran"):
        gram_in_store(Comparison.within(first, Centering.none), Invariance.none, Matcher(), RuntimeConfig(), folder)
    np.save("features.npy", x)
    compared = Comparison.within(read_layer("features.npy"), Centering.none)
    g = gram_in_store(compared, Invariance.none, Matcher(), RuntimeConfig(), folder)
    np.testing.assert_allclose(g.inner[0, 1], (x[0] * x[1]).sum(), rtol=1e-6)


def test_a_stored_layer_keeps_name_grid_and_key(x: np.ndarray) -> None:
    key = keep(x, "blocks.3")
    layer = read_layer(key)
    assert (layer.name, layer.grid, layer.key) == ("blocks.3", (2, 3), key)
    np.testing.assert_array_equal(np.asarray(layer.x[0:2]), x)


def test_layers_of_files_and_keys_belong_to_one_network(x: np.ndarray) -> None:
    np.save("a.npy", x)
    np.savez("several.npz", early=x, late=x)
    source = from_stored_or_files("x", ["a.npy", "several.npz", keep(x, "blocks.3")])
    assert [layer.name for layer in source.layers] == ["a", "early", "late", "blocks.3"]
    assert (source.name, source.n_images, source.logits) == ("x", 2, None)
    assert from_stored_or_files("x", [keep(x, "blocks.3")]).ids == ("cow", "dog")
    with pytest.raises(ConfigError, match="x is given two layers of the name a; rename one of the files"):
        from_stored_or_files("x", ["a.npy", "a.npy"])
    with pytest.raises(SemrsmError, match="image 1 is dog in"):
        from_stored_or_files("x", [keep(x, "blocks.3"), keep(x, "blocks.4", ("cow", "cat"))])


def test_images_are_compared_as_far_as_they_are_known(x: np.ndarray) -> None:
    def source(name: str, n: int, ids: tuple[str, ...] | None) -> Source:
        np.save("n.npy", np.concatenate([x, x])[:n])
        return Source(name, (read_layer("n.npy"),), ids)

    require_same_images(source("x", 2, ("cow", "dog")), source("y", 2, None))
    require_same_images(source("x", 2, ("cow", "dog")), source("y", 2, ("cow", "dog")))
    with pytest.raises(SemrsmError, match="x and y must hold the same images, got 2 and 3"):
        require_same_images(source("x", 2, None), source("y", 3, None))
    with pytest.raises(SemrsmError, match="image 0 is cow in x, but dog in y; give both in one order"):
        require_same_images(source("x", 2, ("cow", "dog")), source("y", 2, ("dog", "cow")))


class Counted:
    """Images that are read by slices only, which are counted."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.shape, self.dtype, self.read = x, x.shape, x.dtype, []

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read.append(rows)
        return self.x[rows]


@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.data())
def test_rows_in_any_order_are_read_by_few_slices(n: int, seed: int, data: st.DataObject) -> None:
    x = Counted(np.arange(n * 2.0).reshape(n, 1, 2))
    rows = np.random.default_rng(seed).permutation(n)[: data.draw(st.integers(0, n))]
    np.testing.assert_array_equal(read_rows(x, rows), x.x[rows])
    assert len(x.read) <= -(-n // 64)
    assert all(rows.stop - rows.start <= 64 for rows in x.read)
