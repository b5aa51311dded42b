"""How often intervals cover the truth, and tests reject it, where images are clustered in scenes: by simulation.

Coverages of so many samples have a standard error of 0.005.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from semrsm_cli.measures.agreement import jensen_shannon, permutation_test, ranks, resample_correlation, softmax
from semrsm_cli.measures.resampling import cluster_interval, percentile_interval

pytestmark = pytest.mark.slow
N_SAMPLES = 2000
N_CHANNELS, N_CLASSES = 6, 10
HEAD = np.random.default_rng(5).normal(size=(N_CHANNELS, N_CLASSES))  # of a network that predicts classes
MEASURES = ("pearson", "spearman")


def draw_scenes(rng: np.random.Generator, n_scenes: int, mean_size: int) -> np.ndarray:
    """The scene of each image; scenes have from 2 images up to twice the mean, less 2."""
    return np.repeat(np.arange(n_scenes), rng.integers(2, 2 * mean_size - 1, size=n_scenes))


def draw_values(rng: np.random.Generator, scenes: np.ndarray, share: float, n: int) -> np.ndarray:
    """Normal values [images, n], of whose variance a share is that of the scenes."""
    of_scene = rng.normal(size=(scenes.max() + 1, n))[scenes]
    return np.sqrt(share) * of_scene + np.sqrt(1 - share) * rng.normal(size=(len(scenes), n))


# Scores of retrieval


def draw_scores(rng: np.random.Generator, scenes: np.ndarray, share: float) -> np.ndarray:
    """F1 of three methods, of which the last mostly reaches 1: tenths within [0, 1]."""
    values = 0.6 * draw_values(rng, scenes, share, 1) + 0.8 * draw_values(rng, scenes, share, 3)
    return np.round(10 * np.clip(np.array([0.5, 0.75, 1.0]) + 0.35 * values, 0, 1)) / 10


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("n_scenes", [16, 30, 60])
def test_intervals_of_scores_and_their_differences(n_scenes: int, share: float) -> None:
    rng = np.random.default_rng(n_scenes)
    many = draw_scores(rng, draw_scenes(rng, 200_000, 5), share).mean(axis=0)
    truth = np.append(many, many[2] - many[0])
    covered = np.zeros(4)
    for sample in range(N_SAMPLES):
        scenes = draw_scenes(rng, n_scenes, 5)
        scores = draw_scores(rng, scenes, share)
        columns = np.column_stack([scores, scores[:, 2] - scores[:, 0]])
        low, high = cluster_interval(columns, scenes, n_resamples=600, seed=sample)
        covered += (low <= truth) & (truth <= high)
    coverage = covered / N_SAMPLES
    assert ((coverage >= 0.93) & (coverage <= 0.98)).all(), coverage


# Correlations


class Sample(NamedTuple):
    """Two similarities and the divergence of predictions, [n, n], and the scene of each image."""

    similarities: tuple[np.ndarray, np.ndarray]
    divergence: np.ndarray
    scenes: np.ndarray


def draw_sample(rng: np.random.Generator, scenes: np.ndarray, share: float, noise: tuple[float, float]) -> Sample:
    """Cosines of noisy pictures of what predictions are made of."""
    shown = draw_values(rng, scenes, share, N_CHANNELS)
    similarities = []
    for level in noise:
        seen = shown + level * draw_values(rng, scenes, share, N_CHANNELS)
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        similarities.append(seen @ seen.T)
    return Sample((similarities[0], similarities[1]), jensen_shannon(softmax(2.5 * shown @ HEAD)), scenes)


def population(samples: list[Sample], k: int) -> dict[str, float]:
    """Correlations over the pairs of all samples: what a sample of that size estimates."""
    x, y = (
        np.concatenate([matrix[np.triu_indices(len(matrix), 1)] for matrix in matrices])
        for matrices in ([s.similarities[k] for s in samples], [s.divergence for s in samples])
    )
    return {"pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic}


def covers(resampled: np.ndarray, truth: float) -> bool:
    low, high = percentile_interval(resampled)
    return low <= truth <= high


@pytest.mark.parametrize(
    ("n_scenes", "mean_size", "share"), [(16, 5, 0.3), (16, 5, 0.8), (40, 3, 0.3), (40, 3, 0.8), (80, 1, 0.5)]
)
def test_intervals_of_correlations_and_their_differences(n_scenes: int, mean_size: int, share: float) -> None:
    rng = np.random.default_rng(n_scenes)
    samples = []
    for _ in range(N_SAMPLES // 2):
        scenes = draw_scenes(rng, n_scenes, mean_size) if mean_size > 1 else np.arange(n_scenes)
        samples.append(draw_sample(rng, scenes, share, (0.7, 1.2)))
    truth = [population(samples, k) for k in (0, 1)]
    covered: dict[str, list[bool]] = defaultdict(list)
    for seed, sample in enumerate(samples):
        for measure, rank in zip(MEASURES, (np.asarray, ranks), strict=True):
            y = rank(sample.divergence)
            x, baseline = (
                resample_correlation(rank(similarity), y, groups=sample.scenes, n_resamples=300, seed=seed)
                for similarity in sample.similarities
            )
            covered[measure].append(covers(x, truth[0][measure]))
            covered[f"difference of {measure}"].append(covers(x - baseline, truth[0][measure] - truth[1][measure]))
    coverage = {name: np.mean(cases) for name, cases in covered.items()}
    most = 0.98 if mean_size > 1 else 0.985  # single images: a little wide
    assert all(0.93 <= rate <= most for rate in coverage.values()), coverage


@pytest.mark.parametrize(("n_scenes", "mean_size", "most"), [(16, 5, 0.03), (40, 3, 0.05), (60, 1, 0.06)])
def test_permutation_test_errs_to_the_safe_side(n_scenes: int, mean_size: int, most: float) -> None:
    rng = np.random.default_rng(n_scenes)
    by_group, by_image = [], []
    for seed in range(N_SAMPLES // 4):
        scenes = draw_scenes(rng, n_scenes, mean_size) if mean_size > 1 else np.arange(n_scenes)
        (x, baseline), y, _ = draw_sample(rng, scenes, 0.8, (1.0, 1.0))
        by_group.append(permutation_test(x, baseline, y, groups=scenes, n_permutations=200, seed=seed).p_value)
        by_image.append(permutation_test(x, baseline, y, n_permutations=200, seed=seed).p_value)
    rejected, naively = (np.mean(np.array(p_values) <= 0.05) for p_values in (by_group, by_image))
    assert rejected <= most, rejected
    assert mean_size == 1 or naively > 0.07, "images of one scene are not exchangeable one by one"
