"""Slow, obvious twins of the fast paths, for comparison in tests."""


def separation(overlapping, unrelated):
    wins = sum((a > b) + (a == b) / 2 for a in overlapping for b in unrelated)
    return wins / (len(overlapping) * len(unrelated))
