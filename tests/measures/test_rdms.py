"""RSMs as rsatoolbox's RDMs, and back."""

import numpy as np
import pytest

import semrsm_cli as semrsm

pytest.importorskip("rsatoolbox", reason="rsatoolbox is not installed: pip install 'semrsm[rsatoolbox]'")


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 6, 4))


@pytest.mark.parametrize("kernel", ["cosine", "rbf"])
def test_similarities_are_taken_from_one_and_come_back(x: np.ndarray, kernel: str) -> None:
    K = semrsm.rsm(x, kernel=kernel)
    rdms = semrsm.to_rdms(K, kernel=kernel, ids=list("abcde"))
    assert (rdms.n_rdm, rdms.n_cond, rdms.dissimilarity_measure) == (1, 5, f"1 - {kernel}")
    assert rdms.pattern_descriptors["ids"] == list("abcde")
    np.testing.assert_allclose(rdms.get_matrices()[0], 1 - K, atol=1e-6)
    assert rdms.dissimilarities.argmax() == K[np.triu_indices(5, 1)].argmin()
    np.testing.assert_allclose(semrsm.from_rdms(rdms, kernel=kernel)[0], K, atol=1e-6)


def test_linear_similarities_become_the_squared_distance_of_rsatoolbox_itself(x: np.ndarray) -> None:
    import rsatoolbox

    K = semrsm.rsm(x, kernel="linear", invariance="none", centering="none")
    rdms = semrsm.to_rdms(K, kernel="linear")
    theirs = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x.reshape(5, -1)), method="euclidean")
    np.testing.assert_allclose(rdms.dissimilarities, theirs.dissimilarities * 24, rtol=1e-5)  # theirs is a mean
    H = np.eye(5) - 1 / 5
    back = semrsm.from_rdms(rdms, kernel="linear")[0]
    np.testing.assert_allclose(back, H @ K @ H, atol=1e-4)
    other = semrsm.rsm(x**2, kernel="linear")
    assert semrsm.cka(back, other) == pytest.approx(semrsm.cka(K, other), abs=1e-6)


def test_semantic_rdms_of_layers_are_compared_by_rsatoolbox(x: np.ndarray) -> None:
    import rsatoolbox

    rsms = {name: semrsm.rsm(layer) for name, layer in (("early", x), ("late", x[:, ::-1]), ("other", x**3))}
    rdms = semrsm.to_rdms(rsms, kernel="cosine")
    assert rdms.rdm_descriptors["layer"] == ["early", "late", "other"]
    correlation = rsatoolbox.rdm.compare(rdms, rdms, method="corr")
    assert correlation[0, 1] == pytest.approx(1, abs=1e-3)
    assert correlation[0, 2] < 0.99


@pytest.mark.parametrize(
    ("K", "ids", "complaint"),
    [
        (np.ones((2, 3)), None, r"one RSM \[n, n\] or several, all finite, got \[1, 2, 3\]"),
        (np.ones(3), None, r"got \[1, 3\]"),
        (np.full((2, 2), np.nan), None, "all finite"),
        (np.triu(np.ones((3, 3))), None, "K must be symmetric, of images with themselves, got differences up to 1"),
        (np.ones((2, 2)), ["a"], "ids must name the 2 images of K, got 1"),
    ],
)
def test_what_is_no_rsm_is_refused(K: np.ndarray, ids: list[str] | None, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        semrsm.to_rdms(K, kernel="cosine", ids=ids)
