"""The examples in the docstrings of measures."""

import doctest
from importlib import import_module


def test_examples_are_right() -> None:
    for module in ("agreement", "cka", "divergence", "pairs", "retrieval", "separation"):
        assert doctest.testmod(import_module(f"semrsm_cli.measures.{module}")).failed == 0, module


def test_the_measures_of_the_library_have_examples() -> None:
    names = {"cka": "cka", "hsic": "cka", "count_f1": "retrieval", "presence_iou": "retrieval"}
    for name, module in (names | {"jensen_shannon": "divergence"}).items():
        docstring = getattr(import_module(f"semrsm_cli.measures.{module}"), name).__doc__
        for section in ("Args:", "Returns:", "Raises:", "Example:"):
            assert section in docstring, (name, section)
