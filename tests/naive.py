"""Slow, obvious twins of the fast paths, for comparison in tests."""

import math
from itertools import permutations, product

import numpy as np
from scipy.optimize import linear_sum_assignment


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


def cka(K, L, statistic=hsic):
    return statistic(K, L) / math.sqrt(statistic(K, K) * statistic(L, L))


def permuted_cka(batches, orders, statistic=hsic):
    """CKA over mini-batches of pairs of RSMs, each with the images of the second in another order."""
    shuffled = [(K, L[np.ix_(order, order)]) for (K, L), order in zip(batches, orders, strict=True)]
    cross, of_k, of_l = (
        sum(statistic(*pair) for pair in pairs)
        for pairs in (shuffled, [(K, K) for K, _ in shuffled], [(L, L) for _, L in shuffled])
    )
    return cross / math.sqrt(of_k * of_l)


def calibrated(observed, permuted, level=0.95):
    """As the authors of arXiv 2602.14486 compute it: the threshold is among what was permuted and observed."""
    combined = np.sort([observed, *permuted])
    threshold = combined[int(np.ceil(level * len(combined))) - 1]
    return max(0.0, (observed - threshold) / (1 - threshold)), np.mean(combined >= observed)


def class_cka(K, L, classes):
    """The mean over classes of the CKA of the images of one class, of classes of at least four images."""
    members = [[i for i, own in enumerate(classes) if own == name] for name in set(classes)]
    blocks = [np.ix_(own, own) for own in members if len(own) >= 4]
    return np.mean([cka(K[block], L[block]) for block in blocks])


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


def resampled_mean(values, groups, drawn):
    """Mean over the queries of a list of groups drawn with replacement, and its standard error."""
    of_group = [[value for value, own in zip(values, groups, strict=True) if own == group] for group in drawn]
    n_queries = sum(len(group) for group in of_group)
    mean = sum(sum(group) for group in of_group) / n_queries
    residuals = [sum(group) - mean * len(group) for group in of_group]
    n = len(drawn)
    return mean, math.sqrt(n / (n - 1) * sum(residual**2 for residual in residuals)) / n_queries


def holm(p_values):
    """The smallest levels at which Holm's procedure, which stops at the first test that it keeps, rejects each test."""

    def rejected(level):
        ranked = sorted(range(len(p_values)), key=lambda test: p_values[test])
        for k, test in enumerate(ranked):
            if p_values[test] > level / (len(ranked) - k):
                return set(ranked[:k])
        return set(ranked)

    steps = sorted({p * k for p in p_values for k in range(1, len(p_values) + 1)})
    return [min((level for level in steps if test in rejected(level)), default=1) for test in range(len(p_values))]


def resampled_correlation(x, y, drawn, groups=None):
    """Pearson correlation over the pairs of images of a list of groups drawn with replacement.

    Each drawn group is one of its own, but nothing is known of two that are copies of one. Pairs within a group count
    as often as the pairs of two groups are known.
    """
    groups = list(range(len(x))) if groups is None else groups
    images = [(copy, i) for copy, group in enumerate(drawn) for i, own in enumerate(groups) if own == group]
    pairs, weights = [], []
    for a, (copy_a, i) in enumerate(images):
        for copy_b, j in images[a + 1 :]:
            if copy_a == copy_b or groups[i] != groups[j]:
                pairs.append((min(i, j), max(i, j)))
                weights.append(1 - 1 / len(drawn) if copy_a == copy_b else 1)
    return weighted_correlation([x[pair] for pair in pairs], [y[pair] for pair in pairs], weights)


def weighted_correlation(x, y, weights):
    covariance = np.cov(x, y, aweights=weights, bias=True)
    return covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])


def exchanged_difference(x, baseline, y, kept, groups=None):
    """Difference of correlations after the labels of all images that are not kept are exchanged, by whole groups."""
    groups = list(range(len(x))) if groups is None else groups
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    x, baseline = ((a - np.mean([a[p] for p in pairs])) / np.std([a[p] for p in pairs]) for a in (x, baseline))
    pairs = [(i, j) for i, j in pairs if kept[i] == kept[j]]
    weights = [1 / 2 if groups[i] == groups[j] else 1 for i, j in pairs]
    first = [x[i, j] if kept[i] else baseline[i, j] for i, j in pairs]
    second = [baseline[i, j] if kept[i] else x[i, j] for i, j in pairs]
    target = [y[pair] for pair in pairs]
    return weighted_correlation(first, target, weights) - weighted_correlation(second, target, weights)


def best_matching(affinity: np.ndarray) -> float:
    """The largest sum over all permutations."""
    exact = affinity.astype(np.float64)
    rows = np.arange(len(exact))
    return max(exact[rows, list(columns)].sum() for columns in permutations(range(len(exact))))


def optimum(affinity: np.ndarray) -> float:
    """The same by SciPy, for more positions."""
    exact = affinity.astype(np.float64)
    return float(exact[linear_sum_assignment(exact, maximize=True)].sum())


def partial_optimum(affinity: np.ndarray, floor: float) -> float:
    """What the best matching of an affinity of any shape is worth above a floor, or in all where that is -infinity."""
    exact = affinity.astype(np.float64)
    if floor == -math.inf:
        return float(exact[linear_sum_assignment(exact, maximize=True)].sum())
    raised = np.maximum(exact, floor)
    return float(raised[linear_sum_assignment(raised, maximize=True)].sum() - floor * min(exact.shape))


def best_of_k_pairs(affinity: np.ndarray, k: int) -> float:
    """The largest sum of k matched pairs [s, s], padded so that s - k rows and columns pair with none."""
    s = len(affinity)
    padded = np.zeros((2 * s - k, 2 * s - k))
    padded[:s, :s] = affinity
    padded[s:, s:] = -1e6 * np.abs(affinity).max()
    return float(padded[linear_sum_assignment(padded, maximize=True)].sum())


def by_norm(x: np.ndarray) -> list[int]:
    """Positions in ascending order of their norms."""
    return sorted(range(len(x)), key=lambda i: float(np.linalg.norm(x[i].astype(np.float64))))


def batch_optimal(x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Optimal matchings of batches of ascending norm (Appendix F)."""
    rows, columns = by_norm(x), by_norm(y)
    starts = range(0, len(x), batch)
    return sum(optimum(x[rows[at : at + batch]] @ y[columns[at : at + batch]].T) for at in starts)


def greedy(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Rows by descending norm, each takes its best free column (Appendix F)."""
    col_of_row = [-1] * len(x)
    for row in reversed(by_norm(x)):
        free = [column for column in range(len(y)) if column not in col_of_row]
        col_of_row[row] = max(free, key=lambda column: float(x[row] @ y[column]))
    return col_of_row


def topk_greedy(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """The k largest norms optimally, the rest greedily (Appendix F)."""
    rows, columns = by_norm(x)[::-1], by_norm(y)[::-1]
    value = optimum(x[rows[:k]] @ y[columns[:k]].T) if k else 0.0
    free = columns[k:]
    for row in rows[k:]:
        best = max(free, key=lambda column: float(x[row] @ y[column]))
        free.remove(best)
        value += float(x[row] @ y[best])
    return value


def greedy_upstream(affinity: np.ndarray) -> dict[int, int]:
    """What the authors' breadth-first matching pairs, rows that it leaves alone excluded."""
    ranked = np.argsort(affinity, axis=0)[::-1]
    best = [affinity[row, ranked[0][row]] for row in range(len(affinity))]
    taken: dict[int, int] = {}
    for row in np.argsort(best)[::-1]:
        for column in ranked[row]:
            if column not in taken.values():
                taken[int(row)] = int(column)
                break
    return taken


def gram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Optimally matched inner products of all pairs of images."""
    exact_x, exact_y = x.astype(np.float64), y.astype(np.float64)
    return np.array([[optimum(a @ b.T) for b in exact_y] for a in exact_x])


def gram_with_locality(x: np.ndarray, y: np.ndarray, grid: tuple[int, int], locality: float) -> np.ndarray:
    """Matched inner products less what displacements cost, pair of positions by pair of positions."""
    unit = (y.astype(np.float64) ** 2).sum(axis=2).mean()
    where = [divmod(position, grid[1]) for position in range(x.shape[1])]
    squared = [[(a - c) ** 2 + (b - d) ** 2 for c, d in where] for a, b in where]
    cost = locality * unit * np.array(squared) / (grid[0] ** 2 + grid[1] ** 2)
    exact_x, exact_y = x.astype(np.float64), y.astype(np.float64)
    return np.array([[optimum(a @ b.T - cost) for b in exact_y] for a in exact_x])


def best_shift(x: np.ndarray, y: np.ndarray, grid: tuple[int, int]) -> float:
    """The largest inner product over all circular shifts of y's grid."""
    a, b = x.reshape(*grid, -1), y.reshape(*grid, -1)
    shifts = product(range(grid[0]), range(grid[1]))
    return max(float((a * np.roll(b, shift, axis=(0, 1))).sum()) for shift in shifts)


def maxsim(x: np.ndarray, y: np.ndarray) -> float:
    """Every concept vector with its best partner in the other image: the mean of both directions."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    forth = sum(max(float(a @ b) for b in y) for a in x)
    back = sum(max(float(a @ b) for a in x) for b in y)
    return (forth + back) / 2


def semantic_rsm(x: np.ndarray, y: np.ndarray, kernel: str, sigma: float) -> np.ndarray:
    """Algorithm 1 as it stands: permute one image to the other, then compare all values."""
    found = np.empty((len(x), len(y)))
    for i, a in enumerate(x.astype(np.float64)):
        for j, b in enumerate(y.astype(np.float64)):
            v, w = a.ravel(), b[linear_sum_assignment(a @ b.T, maximize=True)[1]].ravel()
            found[i, j] = {
                "linear": v @ w,
                "cosine": v @ w / np.linalg.norm(v) / np.linalg.norm(w),
                "rbf": np.exp(-np.sum((v - w) ** 2) / (2 * sigma**2)),
            }[kernel]
    return found


def pair_mean_interval(values: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """The mean over pairs of images, give or take its uncertainty: couples of pairs counted one by one."""
    from scipy.stats import t

    deviations = values - values.mean()
    sharing, n_apart = 0.0, 0
    for p, q in product(range(len(values)), repeat=2):
        if set(pairs[p]) & set(pairs[q]):
            sharing += deviations[p] * deviations[q]
        else:
            n_apart += 1
    if not n_apart:
        return np.nan, np.nan
    variance = max(sharing / n_apart, (deviations**2).sum() / (len(values) * (len(values) - 1)))
    half = t.ppf(0.975, len(np.unique(pairs)) - 1) * np.sqrt(variance)
    return values.mean() - half, values.mean() + half
