"""Slow, obvious twins of the fast paths, for comparison in tests."""
