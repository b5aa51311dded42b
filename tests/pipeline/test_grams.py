"""Matched inner products: what the store tells apart, what is forecast, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from semrsm_cli.config import RuntimeConfig
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline import grams
from semrsm_cli.pipeline.grams import Comparison, gram_in_store, matching_name
from semrsm_cli.pipeline.rearrangements import rearrangements
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Centering, Gram, Invariance, Matcher, gram
from semrsm_cli.stages import VERSIONS
from semrsm_cli.store import TileFolder

OPTIMAL = Matcher()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMRSM_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", command=["semrsm"])


@pytest.fixture
def x(rng: np.random.Generator) -> Layer:
    return Layer("x", rng.normal(size=(7, 6, 4)).astype(np.float32), "key of x", (2, 3))


@pytest.fixture
def y(rng: np.random.Generator) -> Layer:
    return Layer("y", rng.normal(size=(5, 6, 4)).astype(np.float32), "key of y", (2, 3))


def compute(
    compared: Comparison, folder: RunFolder, invariance: Invariance = Invariance.permutation, **options: object
) -> Gram:
    return gram_in_store(compared, invariance, OPTIMAL, RuntimeConfig(), folder, **options)  # type: ignore[arg-type]


def test_gives_what_the_library_gives(x: Layer, y: Layer, folder: RunFolder) -> None:
    mean = np.asarray(x.x).mean(axis=0)
    between = Comparison.between(x, y, Centering.sample, center_of=x, name="x and y")
    for compared, others in ((Comparison.within(x, Centering.sample), None), (between, y.x - mean)):
        for invariance in Invariance:
            found = compute(compared, folder, invariance)
            grid = x.grid if invariance is Invariance.translation else None
            expected = gram(x.x - mean, others, invariance=invariance, grid=grid)
            np.testing.assert_allclose(found.inner, expected.inner, rtol=1e-5, atol=1e-4, err_msg=str(invariance))
            n, m = found.inner.shape
            assert compared.n_pairs == (n * (n + 1) // 2 if compared.y is None else n * m)


def test_parts_are_compared_with_themselves_less_the_mean_of_all(x: Layer, folder: RunFolder) -> None:
    whole = Comparison.within(x, Centering.sample)
    assert whole.part(np.arange(7)) is whole
    rows = np.array([5, 2, 6, 0])
    part = whole.part(rows)
    expected = gram((x.x - np.asarray(x.x).mean(axis=0))[rows])
    np.testing.assert_allclose(compute(part, folder).inner, expected.inner, rtol=1e-5, atol=1e-4)
    assert len({whole.key, part.key, whole.part(rows[:3]).key, whole.part(rows[::-1]).key}) == 4


def test_the_store_tells_apart_whatever_changes_the_products(
    x: Layer, y: Layer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    opened = TileFolder.__init__
    monkeypatch.setattr(
        TileFolder, "__init__", lambda self, key, **more: (opened(self, key, **more), keys.append(self.key), None)[-1]
    )
    other_grid = Layer("x", x.x, x.key, (3, 2))
    cases: list[tuple[Comparison, Invariance, Matcher, RuntimeConfig, np.ndarray | None]] = [
        (Comparison.within(layer, centering), invariance, matcher, RuntimeConfig(**runtime), None)
        for layer, centering, invariance, matcher, runtime in (
            (x, Centering.sample, Invariance.permutation, Matcher(), {}),
            (y, Centering.sample, Invariance.permutation, Matcher(), {}),
            (x, Centering.none, Invariance.permutation, Matcher(), {}),
            (x, Centering.sample, Invariance.none, Matcher(), {}),
            (x, Centering.sample, Invariance.translation, Matcher(), {}),
            (other_grid, Centering.sample, Invariance.translation, Matcher(), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(tolerance=1e-3), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(floor=0.1), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(floor=0.2), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(method="batch_optimal"), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(method="batch_optimal", batch=3), {}),
            (x, Centering.sample, Invariance.permutation, Matcher(method="topk_greedy", n_exact=3), {}),
        )
    ]
    for center in (x, y):
        between = Comparison.between(x, y, Centering.sample, center_of=center, name="")
        cases += [(between, Invariance.permutation, Matcher(), RuntimeConfig(), None)]
        cases += [
            (between, Invariance.permutation, Matcher(), RuntimeConfig(), lists)
            for lists in (np.arange(7)[:, None] % 5, np.arange(14).reshape(7, 2) % 5)
        ]
    for compared, invariance, matcher, runtime, pairs in cases:
        gram_in_store(compared, invariance, matcher, runtime, folder, pairs=pairs)
    for layer, locality in ((x, 1.0), (x, 2.0), (other_grid, 1.0)):
        compared = Comparison.within(layer, Centering.sample)
        gram_in_store(compared, Invariance.permutation, Matcher(), RuntimeConfig(), folder, locality=locality)
    assert len(set(keys)) == len(cases) + 3
    keys.clear()
    for layer in (x, other_grid, Layer("another name", x.x, x.key, None)):
        for threads in (1, 2):
            compared = Comparison.within(layer, Centering.sample)
            gram_in_store(compared, Invariance.permutation, Matcher(), RuntimeConfig(threads=threads), folder)
    assert len(set(keys)) == 1, "neither names nor threads, nor a grid that is not used"
    keys.clear()
    for matcher in (Matcher(), Matcher(method="batch_optimal", batch=3)):
        gram_in_store(Comparison.within(x, Centering.sample), Invariance.maxsim, matcher, RuntimeConfig(), folder)
    assert len(set(keys)) == 1, "nor a matcher that matches nothing"


def test_a_second_run_computes_nothing(x: Layer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = Comparison.within(x, Centering.sample)
    first = compute(compared, folder)
    monkeypatch.setattr(TileFolder, "save", lambda *_: pytest.fail("a tile was computed again"))
    np.testing.assert_array_equal(compute(compared, folder).inner, first.inner)
    on_disk = compute(compared, folder, in_memory=False)
    np.testing.assert_array_equal(on_disk.rows(0, 7).inner, first.rows(0, 7).inner)


def test_what_another_version_of_the_matching_made_is_computed_again(
    x: Layer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Comparison.within(x, Centering.sample)
    compute(compared, folder)
    saved = []
    save = TileFolder.save
    monkeypatch.setattr(TileFolder, "save", lambda *arguments: (saved.append(1), save(*arguments))[-1])
    for stage, is_new in (("measures", False), ("matching", True)):
        monkeypatch.setattr("semrsm_cli.stages.VERSIONS", dict(VERSIONS) | {stage: 99})
        compute(compared, folder)
        assert bool(saved) == is_new, stage


def test_only_long_matchings_are_forecast(
    x: Layer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = Comparison.within(x, Centering.sample)
    compute(compared, folder)
    assert "forecast_seconds" not in folder.facts
    monkeypatch.setattr(grams, "_WORK_TO_ESTIMATE", 0)
    for invariance in (Invariance.permutation, Invariance.none):
        compute(compared, folder, invariance)
    assert set(folder.facts["forecast_seconds"]) == {"permutation x", "none x"}
    assert "pairs, about" not in capsys.readouterr().err, "seconds are not worth a line"
    monkeypatch.setattr(grams, "_SECONDS_TO_LOG", -1)
    compute(compared, folder)
    assert "permutation x: 28 pairs, about 0 seconds, " in capsys.readouterr().err


def test_complaints_name_the_layer(x: Layer, folder: RunFolder) -> None:
    tokens = Comparison.within(Layer("block 3", x.x, x.key, None), Centering.sample)
    with pytest.raises(ConfigError, match="translation needs the grid of block 3's positions, which only CNN maps"):
        compute(tokens, folder, Invariance.translation)
    wrong = Comparison.within(Layer("block 3", x.x, x.key, (2, 2)), Centering.sample)
    with pytest.raises(SemrsmError, match="block 3: translation needs the grid"):
        compute(wrong, folder, Invariance.translation)
    broken = np.array(x.x)
    broken[3, 2, 1] = np.nan
    for centering in Centering:  # a mean that is not finite spoils the images before it
        with pytest.raises(SemrsmError, match=r"block 3: .* must be finite in float32, but sample 3 holds NaN"):
            compute(Comparison.within(Layer("block 3", broken, "broken", None), centering), folder)


def test_a_matching_has_a_name_where_something_is_matched() -> None:
    assert [matching_name(invariance, OPTIMAL) for invariance in Invariance] == ["", "", "optimal", "", ""]


def test_locality_is_measured_in_one_unit_for_all_parts(x: Layer, y: Layer, folder: RunFolder) -> None:
    whole = Comparison.within(x, Centering.sample)
    centred = x.x - np.asarray(x.x).mean(axis=0)
    unit = float((centred.astype(np.float64) ** 2).sum(axis=2).mean())
    rows = np.array([5, 2, 6])
    found = compute(whole.part(rows), folder, locality=2.0)
    expected = gram(centred[rows], locality=2.0, grid=(2, 3), unit=unit)
    np.testing.assert_allclose(found.inner, expected.inner, rtol=1e-4, atol=1e-4)
    between = Comparison.between(x, y, Centering.none, center_of=y, name="x and y")
    expected = gram(x.x, y.x, locality=2.0, grid=(2, 3))
    np.testing.assert_allclose(compute(between, folder, locality=2.0).inner, expected.inner, rtol=1e-4, atol=1e-4)


def test_locality_needs_places(x: Layer, folder: RunFolder) -> None:
    tokens = Layer("block 3", x.x, x.key)
    with pytest.raises(
        ConfigError, match=r"locality needs the grid of block 3's positions, .* set model.cls_token=drop"
    ):
        compute(Comparison.within(tokens, Centering.sample), folder, locality=2.0)
    patches = Layer("block 3", x.x, x.key, patches=(2, 3))
    on_map = compute(Comparison.within(x, Centering.sample), folder, locality=2.0)
    found = compute(Comparison.within(patches, Centering.sample), folder, locality=2.0)
    np.testing.assert_array_equal(found.inner, on_map.inner)


def test_sizes_may_differ_and_each_side_is_centred_by_its_own_mean(x: Layer, folder: RunFolder) -> None:
    small = Layer("small", np.ascontiguousarray(x.x[:5, :4]), "key of small")
    between = Comparison.between(x, small, Centering.sample, center_of=x, name="x and small")
    expected = gram(x.x - x.x.mean(axis=0), small.x - small.x.mean(axis=0))
    np.testing.assert_allclose(compute(between, folder).inner, expected.inner, rtol=1e-4, atol=1e-4)


def test_rows_between_the_methods_stand_behind_permutation() -> None:
    wanted = rearrangements([Invariance.none, Invariance.permutation, Invariance.pooled], [4.0, 0.0, 1.5, 4.0])
    assert [str(one) for one in wanted] == [
        "none",
        "permutation",
        "permutation_locality_1.5",
        "permutation_locality_4",
        "pooled",
    ]
