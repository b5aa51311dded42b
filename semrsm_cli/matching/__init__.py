"""Matchings of the positions of two images: the optimum with its certificate, approximations, and rival solvers."""
