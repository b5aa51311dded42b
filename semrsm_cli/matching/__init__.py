"""Matchings of the positions of two images: the optimum with its certificate, approximations, and rival solvers."""

from semrsm_cli.matching.match import (
    Matching,
    Method,
    assess,
    check_pair,
    check_partial,
    check_settings,
    match,
    match_tile,
    permute,
)

__all__ = [
    "Matching",
    "Method",
    "assess",
    "check_pair",
    "check_partial",
    "check_settings",
    "match",
    "match_tile",
    "permute",
]
