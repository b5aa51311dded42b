"""Slow, obvious twins of the fast paths, for comparison in tests."""


def area_under_roc(overlapping, unrelated):
    wins = sum((a > b) + (a == b) / 2 for a in overlapping for b in unrelated)
    return wins / (len(overlapping) * len(unrelated))
