"""Slow, obvious twins of the fast paths, for comparison in tests."""

import math
from itertools import permutations

import numpy as np


def separation(overlapping, unrelated):
    wins = sum((a > b) + (a == b) / 2 for a in overlapping for b in unrelated)
    return wins / (len(overlapping) * len(unrelated))


def hsic(K, L):
    n = len(K)
    H = np.eye(n) - np.ones((n, n)) / n
    return np.trace(K @ H @ L @ H) / (n - 1) ** 2


def unbiased_hsic(K, L):
    # the U-statistic: the mean over all ways to pick four different images
    terms = [K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in permutations(range(len(K)), 4)]
    return np.mean(terms)


def count_f1(query, database):
    """F1 of two lists of objects, by crossing out one instance after the other."""
    missed, surplus = list(query), list(database)
    for instance in query:
        if instance in surplus:
            missed.remove(instance)
            surplus.remove(instance)
    tp = len(query) - len(missed)
    return 2 * tp / (2 * tp + len(surplus) + len(missed)) if query or database else 1.0


def neighbours(similarity, k, query_groups, database_groups):
    found = []
    for row, group in zip(similarity, query_groups, strict=True):
        ranked = sorted(range(len(row)), key=lambda j: (-row[j], j))
        others = [j for j in ranked if database_groups[j] != group][:k]
        found.append(others + [-1] * (k - len(others)))
    return np.array(found)


def jensen_shannon(p, q):
    def divergence(a, m):
        return sum(a_c * math.log(a_c / m_c) for a_c, m_c in zip(a, m, strict=True) if a_c > 0)

    m = [(p_c + q_c) / 2 for p_c, q_c in zip(p, q, strict=True)]
    return divergence(p, m) / 2 + divergence(q, m) / 2


def average_ranks(values):
    return np.array([1 + sum(u < v for u in values) + (sum(u == v for u in values) - 1) / 2 for v in values])


def resampled_correlation(x, y, images):
    """Pearson correlation over the pairs of a list of images drawn with replacement, without pairs of one image."""
    pairs = [(i, j) for a, i in enumerate(images) for j in images[a + 1 :] if i != j]
    return np.corrcoef([(x[min(pair), max(pair)], y[min(pair), max(pair)]) for pair in pairs], rowvar=False)[0, 1]


def exchanged_difference(x, baseline, y, kept):
    """Difference of correlations after the labels of all images that are not kept are exchanged."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    x, baseline = ((a - np.mean([a[p] for p in pairs])) / np.std([a[p] for p in pairs]) for a in (x, baseline))
    pairs = [(i, j) for i, j in pairs if kept[i] == kept[j]]
    first = [x[i, j] if kept[i] else baseline[i, j] for i, j in pairs]
    second = [baseline[i, j] if kept[i] else x[i, j] for i, j in pairs]
    target = [y[pair] for pair in pairs]
    return np.corrcoef(first, target)[0, 1] - np.corrcoef(second, target)[0, 1]
