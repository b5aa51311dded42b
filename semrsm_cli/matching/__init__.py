"""Matchings of the positions of two images: the optimum with its certificate, approximations, and rival solvers."""

from semrsm_cli.matching.match import Matching, Method, check_settings, match, match_tile
from semrsm_cli.matching.optimal import compile_all

__all__ = ["Matching", "Method", "check_settings", "compile_all", "match", "match_tile"]
