"""Intervals from resamples of groups, and the correction for several tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.measures.resampling import cluster_interval, group_codes, holm, percentile_interval
from tests import naive

SCORES = [0.2, 0.9, 1.0, 0.4, 0.5, 0.0, 0.7, 1.0, 0.3]
SCENES = ["desk", "desk", "park", "park", "park", "bath", "hall", "hall", "desk"]


def test_interval_is_the_bootstrap_t_of_whole_groups() -> None:
    names, n_resamples, level = ["desk", "park", "bath", "hall"], 300, 0.8
    mean, error = naive.resampled_mean(SCORES, SCENES, names)
    t = []
    for weights in np.random.default_rng(5).multinomial(4, np.full(4, 1 / 4), size=n_resamples):
        resampled, its_error = naive.resampled_mean(SCORES, SCENES, np.repeat(names, weights).tolist())
        shift = resampled - mean
        t.append(shift / its_error if its_error > 1e-9 else np.copysign(np.inf, shift) if abs(shift) > 1e-9 else 0.0)
    t.sort()
    upper, lower = t[round(0.9 * n_resamples) - 1], t[round(0.1 * n_resamples) - 1]
    assert np.isfinite([upper, lower]).all()
    found = cluster_interval(SCORES, SCENES, level=level, n_resamples=n_resamples, seed=5)
    np.testing.assert_allclose(found, [mean - upper * error, mean - lower * error], atol=1e-12)


def test_columns_share_the_resamples() -> None:
    columns = np.stack([SCORES, np.square(SCORES), np.ones(9)], axis=1)
    both = cluster_interval(columns, SCENES)
    for column, interval in zip(columns.T, both.T, strict=True):
        np.testing.assert_allclose(cluster_interval(column, SCENES), interval, atol=1e-12)


@given(st.floats(0.01, 100), st.floats(-10, 10))
def test_interval_moves_with_the_scale(scale: float, shift: float) -> None:
    interval = cluster_interval(SCORES, SCENES, level=0.5, n_resamples=200)
    moved = cluster_interval(shift + scale * np.array(SCORES), SCENES, level=0.5, n_resamples=200)
    np.testing.assert_allclose(moved, shift + scale * interval, rtol=1e-9, atol=1e-9)


def test_names_do_not_matter_and_order_hardly(rng: np.random.Generator) -> None:
    scores, scenes = rng.random(90), rng.integers(0, 30, size=90)
    interval = cluster_interval(scores, scenes)
    np.testing.assert_array_equal(cluster_interval(scores, [f"scene {i}" for i in scenes]), interval)
    order = rng.permutation(90)
    shuffled = cluster_interval(scores[order], scenes[order])
    assert abs(shuffled - interval).max() < 0.05 * np.ptp(interval), "but for which resamples were drawn"


def test_queries_of_one_scene_say_less_than_as_many_of_different_scenes(rng: np.random.Generator) -> None:
    scene = np.repeat(np.arange(20), 4)
    scores = rng.random(20)[scene] + 0.1 * rng.random(80)
    by_scene, by_query = (np.ptp(cluster_interval(scores, groups)) for groups in (scene, range(80)))
    assert 1.6 < by_scene / by_query < 2.6, "four alike are worth one: the root of 4, and t instead of normal"


def test_interval_of_single_queries_is_students(rng: np.random.Generator) -> None:
    scores = rng.normal(size=400)
    low, high = cluster_interval(scores, range(400))
    assert low < scores.mean() < high
    assert high - low == pytest.approx(2 * 1.966 * scores.std(ddof=1) / 20, rel=0.05)
    assert high - low > np.ptp(cluster_interval(scores, range(400), level=0.8))


def test_seed_repeats_and_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    interval = cluster_interval(SCORES, range(9))
    assert not np.array_equal(cluster_interval(SCORES, range(9), seed=1), interval)
    monkeypatch.setattr("semrsm_cli.measures.resampling._WEIGHTS_AT_ONCE", 40)
    np.testing.assert_allclose(cluster_interval(SCORES, range(9)), interval, atol=1e-12)


def test_where_resamples_do_not_vary_the_limits_are_the_ends() -> None:
    # half of all resamples hold one of the two groups alone
    assert cluster_interval([0.4, 0.6], "ab", limits=(0, 1)).tolist() == [0, 1]
    assert cluster_interval([0.4, 0.6], "ab").tolist() == [-np.inf, np.inf]
    assert cluster_interval([0.1] * 6, "aabbbc").tolist() == pytest.approx([0.1, 0.1], abs=1e-15)


def test_interval_is_cut_at_the_limits() -> None:
    free, cut = cluster_interval(SCORES, SCENES), cluster_interval(SCORES, SCENES, limits=(0.4, 0.6))
    assert free[0] < 0.4 < 0.6 < free[1]
    assert cut.tolist() == [0.4, 0.6]


def test_interval_refuses(subtests: pytest.Subtests) -> None:
    for values, groups, message in (
        ([0.5], "a", "at least two groups, none of them NaN, got 1 values of 1 groups"),
        ([0.5, 0.4], "aa", "got 2 values of 1 groups, 0 of them NaN"),
        ([0.5, np.nan], "ab", "got 2 values of 2 groups, 1 of them NaN"),
        ([0.5, 0.4], "abc", "same queries, got 2 and 3"),
        ([], "", "got 0 values of 0 groups"),
    ):
        with subtests.test(message), pytest.raises(ValueError, match=message):
            cluster_interval(values, groups)


def test_percentiles_leave_out_what_is_not_defined() -> None:
    values = np.append(np.arange(101.0), [np.nan] * 20)
    assert percentile_interval(values, level=0.9) == pytest.approx((5, 95))
    for values in ([1.0, np.nan, np.nan], [np.nan], []):
        with pytest.raises(ValueError, match="resamples have a value"):
            percentile_interval(values)


def test_groups_are_numbered_as_they_appear() -> None:
    assert group_codes(["b", "a", "b", 3]).tolist() == [0, 1, 0, 2]
    assert group_codes([]).tolist() == []


@given(st.lists(st.integers(0, 100).map(lambda percent: percent / 100), min_size=1, max_size=6))
def test_holm_rejects_as_the_procedure_does(p_values: list[float]) -> None:
    expected = np.minimum(naive.holm(p_values), 1)
    np.testing.assert_allclose(holm(p_values), expected, atol=1e-12)
    assert (holm(p_values) >= p_values).all()


def test_holm_of_one_test_changes_nothing_and_of_none_is_empty() -> None:
    assert holm([0.03]).tolist() == [0.03]
    assert holm([]).tolist() == []
