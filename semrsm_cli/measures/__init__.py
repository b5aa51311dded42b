"""Measures on similarities and predictions: functions on arrays."""
