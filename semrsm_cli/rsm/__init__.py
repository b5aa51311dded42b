"""Representational similarity matrices: matched inner products, tile by tile, and the kernels made from them."""
