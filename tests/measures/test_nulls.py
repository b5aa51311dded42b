"""CKA with shuffled images: its null distribution, the calibrated value, and the test that rests on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semrsm_cli as semrsm
from semrsm_cli.measures.cka import cka_matrix
from semrsm_cli.measures.nulls import (
    CkaTest,
    cka_test,
    compare_with_null,
    draw_orders,
    permute_cka,
    permute_class_cka,
)
from tests import naive

BOTH = pytest.mark.parametrize("unbiased", [False, True], ids=["biased", "unbiased"])
seeds = st.integers(0, 2**32 - 1)


def rsms(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """RSMs of normal features [..., n, c]."""
    features = rng.normal(size=shape)
    return features @ features.swapaxes(-1, -2)


@BOTH
@given(seed=seeds, n=st.integers(5, 8))
def test_permuted_cka_is_that_of_shuffled_images(unbiased: bool, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    batches = [(rsms(rng, 2, size, 4), rsms(rng, 3, size, 4)) for size in (n, n - 1)]
    found = permute_cka(batches, unbiased=unbiased, n_permutations=3, seed=seed)
    np.testing.assert_array_equal(found.cka, cka_matrix(batches, unbiased=unbiased))
    statistic = naive.unbiased_hsic if unbiased else naive.hsic
    orders = draw_orders([n, n - 1], 3, seed)
    for k, i, j in ((0, 0, 0), (2, 1, 2)):
        expected = naive.permuted_cka([(a[i], b[j]) for a, b in batches], [order[k] for order in orders], statistic)
        assert found.permuted[k, i, j] == pytest.approx(expected, abs=1e-9)


@given(seed=seeds, labels=st.lists(st.sampled_from("ab"), min_size=12, max_size=16))
def test_within_classes_only_pairs_of_one_class_count(seed: int, labels: list[str]) -> None:
    labels = [*"aaaa", *"bbbb", *labels, *"ccc"]  # of c there are too few
    rng = np.random.default_rng(seed)
    K, L = rsms(rng, 2, len(labels), 5)
    found = permute_class_cka([(K[None], L[None])], [labels], n_permutations=5, seed=seed)
    assert found.cka.item() == pytest.approx(naive.class_cka(K, L, labels), abs=1e-9)
    names = np.array(labels)
    other = names[:, None] != names
    apart = [np.where(other, noise, rsm) for noise, rsm in zip(rsms(rng, 2, len(labels), 3), (K, L), strict=True)]
    again = permute_class_cka([(apart[0][None], apart[1][None])], [labels], n_permutations=5, seed=seed)
    np.testing.assert_array_equal(again.permuted, found.permuted)
    renamed = permute_class_cka([(K[None], L[None])], [[f"{name} 2" for name in labels]], n_permutations=5, seed=seed)
    np.testing.assert_array_equal(renamed.permuted, found.permuted)


def test_a_class_counts_over_all_its_mini_batches() -> None:
    rng = np.random.default_rng(0)
    batches = [(rsms(rng, 1, 9, 4), rsms(rng, 1, 9, 4)) for _ in range(2)]
    classes = [[*"aaaabbbbc"], [*"caaaaaabb"]]
    found = permute_class_cka(batches, classes, n_permutations=1)
    of_a = cka_matrix(
        [(batches[0][0][:, :4, :4], batches[0][1][:, :4, :4]), (batches[1][0][:, 1:7, 1:7], batches[1][1][:, 1:7, 1:7])]
    )
    of_b = cka_matrix([(batches[0][0][:, 4:8, 4:8], batches[0][1][:, 4:8, 4:8])])
    np.testing.assert_allclose(found.cka, (of_a + of_b) / 2)


def test_classes_that_are_too_small_or_do_not_vary_leave_no_number() -> None:
    K, L = rsms(np.random.default_rng(0), 2, 6, 3)[:, None]
    assert np.isnan(permute_class_cka([(K, L)], [range(6)], n_permutations=2).permuted).all()
    K[:, :4, :4] = 1
    assert np.isnan(permute_class_cka([(K, L)], [[*"aaaabb"]]).cka).all()
    empty = compare_with_null(*permute_class_cka([(K, L)], [[*"aaaabb"]]))
    assert all(np.isnan(value).all() for value in empty)
    with pytest.raises(ValueError, match="classes must be of the same images, got 5 for 6 images"):
        permute_class_cka([(K, L)], [range(5)])


@BOTH
@given(seed=seeds, n=st.integers(10, 15))  # of fewer images, a shuffle may leave all where they are
def test_identical_rsms_are_calibrated_to_1_and_never_exceeded(unbiased: bool, seed: int, n: int) -> None:
    (K,) = rsms(np.random.default_rng(seed), 1, n, 6)
    test = cka_test(K, 2 * K + 1, unbiased=unbiased, n_permutations=99, seed=seed)
    assert test.calibrated == pytest.approx(1, abs=1e-9)
    assert test.p_value == 0.01
    assert test.null_mean < test.null_95 < 1


@BOTH
@given(seed=seeds, threads=st.integers(2, 5))
def test_depends_on_neither_threads_nor_other_layers_nor_their_order(unbiased: bool, seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    batches = [(rsms(rng, 4, 9, 3), rsms(rng, 3, 9, 3)) for _ in range(2)]
    settings = {"unbiased": unbiased, "n_permutations": 40, "seed": seed}
    whole = permute_cka(batches, threads=1, **settings)
    np.testing.assert_array_equal(permute_cka(batches, threads=threads, **settings).permuted, whole.permuted)
    tested = compare_with_null(*whole)
    for rows, columns in (([2], [1]), ([3, 0, 2, 1], [2, 1, 0])):
        part = compare_with_null(*permute_cka([(a[rows], b[columns]) for a, b in batches], **settings))
        np.testing.assert_array_equal(part.p_value, tested.p_value[np.ix_(rows, columns)])
        for name in ("null_mean", "null_95", "calibrated"):
            expected = getattr(tested, name)[np.ix_(rows, columns)]
            np.testing.assert_allclose(getattr(part, name), expected, atol=1e-12)


@pytest.mark.slow
@given(seed=seeds)
def test_both_sides_have_the_same_null(seed: int) -> None:
    """Shuffling the one side is shuffling the other back: the same distribution, though other draws of it."""
    rng = np.random.default_rng(seed)
    K, L = rsms(rng, 2, 12, 4)
    one, other = (cka_test(*pair, n_permutations=2000, seed=seed).null_mean for pair in ((K, L), (L, K)))
    assert one == pytest.approx(other, abs=0.03)


@given(values=st.lists(st.integers(0, 8), min_size=19, max_size=60), observed=st.integers(0, 8))
def test_null_95_is_exceeded_where_the_p_value_is_at_most_5_percent(values: list[int], observed: int) -> None:
    test = compare_with_null(observed / 10, np.array(values) / 10)
    assert (test.cka > test.null_95 + 1e-12) == (test.p_value <= 0.05)
    assert (test.calibrated > 1e-12) == (test.p_value <= 0.05)
    assert test.p_value == (1 + sum(value >= observed for value in values)) / (1 + len(values))


@given(st.lists(st.integers(0, 98), min_size=19, max_size=60), st.integers(0, 98))
def test_the_calibrated_value_is_that_of_its_authors(values: list[int], observed: int) -> None:
    found = compare_with_null(observed / 100, np.array(values) / 100)
    calibrated, p_value = naive.calibrated(observed / 100, np.array(values) / 100)
    assert found.calibrated.item() == pytest.approx(calibrated, abs=1e-12)
    assert found.p_value.item() == pytest.approx(p_value, abs=1e-12)


def test_relation_beyond_chance_is_found_and_the_bias_of_few_images_is_not_taken_for_one() -> None:
    rng = np.random.default_rng(1)
    shared, *own = rng.normal(size=(3, 40, 300))
    apart = cka_test(*(x @ x.T for x in own))
    assert apart.cka > 0.8, "of noise with noise"
    assert apart.p_value > 0.05
    assert apart.calibrated == 0
    related = cka_test(*((shared + x) @ (shared + x).T for x in own))
    assert related.p_value == 1 / 1001
    assert 0 < related.calibrated < related.cka


def test_the_public_name_and_its_refusals() -> None:
    K, L = rsms(np.random.default_rng(0), 2, 6, 3)
    assert isinstance(semrsm.cka_test(K, L), CkaTest)
    assert semrsm.cka_test(K, L).cka == semrsm.cka(K, L)
    with pytest.raises(ValueError, match="at least 19 permutations, got 18"):
        cka_test(K, L, n_permutations=18)
    with pytest.raises(ValueError, match="is constant"):
        cka_test(K, np.ones_like(K))


# How often the tests reject, by simulation; a share of 1,000 samples has a standard error of 0.007 at 0.05


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize(("sizes", "channels"), [((12,), 5), ((20, 20), 200), ((40,), 3)])
def test_rejects_a_true_null_hypothesis_in_5_percent_of_samples(
    unbiased: bool, sizes: tuple[int, ...], channels: int
) -> None:
    rng = np.random.default_rng(sum(sizes))
    rejected = np.zeros(2)
    for sample in range(1000):
        batches = [(rsms(rng, 1, n, channels), rsms(rng, 1, n, channels)) for n in sizes]
        found = permute_cka(batches, unbiased=unbiased, n_permutations=99, seed=sample, threads=1)
        test = compare_with_null(found.cka[0, 0], found.permuted[:, 0, 0])
        rejected += test.p_value <= 0.05, test.cka > test.null_95
    assert rejected[0] == rejected[1]
    assert 0.03 <= rejected[0] / 1000 <= 0.07, rejected


@pytest.mark.slow
def test_within_classes_what_both_sides_know_of_classes_is_not_taken_for_more() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(6), 8)
    rejected = np.zeros(2)
    for sample in range(500):
        sides = [rng.normal(size=(6, 10))[classes] + rng.normal(size=(48, 10)) for _ in range(2)]
        batches = [tuple((side @ side.T)[None] for side in sides)]
        over_all = permute_cka(batches, n_permutations=99, seed=sample, threads=1)
        within = permute_class_cka(batches, [classes.tolist()], n_permutations=99, seed=sample, threads=1)
        rejected += [compare_with_null(*found).p_value.item() <= 0.05 for found in (over_all, within)]
    over_all_share, within_share = rejected / 500
    assert over_all_share > 0.5, "both tell classes apart"
    assert 0.02 <= within_share <= 0.08
