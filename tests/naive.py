"""Slow, obvious twins of the fast paths, for comparison in tests."""

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
