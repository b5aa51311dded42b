"""Matchings of the positions of two images: the optimum with its certificate, approximations, and rival solvers."""

from semrsm_cli.matching.methods import Method, check_settings, match
from semrsm_cli.matching.optimal import compile_all
from semrsm_cli.matching.result import Matching

__all__ = ["Matching", "Method", "check_settings", "compile_all", "match"]
