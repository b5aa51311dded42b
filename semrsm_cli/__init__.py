"""Semantic representational similarity: how similar images, layers and networks are, free of spatial alignment."""

__version__ = "0.1.0"
