"""Whatever a user's arrays are made of, the library gives the numbers of the NumPy array of the same values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import semrsm_cli as semrsm
from semrsm_cli.arrays import as_array

FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "tensor": torch.from_numpy,
    "tensor with a gradient": lambda values: torch.from_numpy(values).requires_grad_(),
    "bfloat16": lambda values: torch.from_numpy(values).bfloat16(),
    "float16": lambda values: torch.from_numpy(values).half(),
    "lists": np.ndarray.tolist,
    "list of tensors": lambda values: list(torch.from_numpy(values).requires_grad_()),
    "tuple of arrays": tuple,
}


@pytest.mark.parametrize("form", FORMS)
def test_tensors_and_lists_are_arrays(form: str) -> None:
    dtype = np.float64 if form == "lists" else np.float32  # that of Python's numbers
    x, y = np.random.default_rng(0).integers(-8, 8, (2, 5, 4, 3)).astype(dtype)  # exact in every type
    made = FORMS[form]
    np.testing.assert_array_equal(semrsm.rsm(made(x), made(y)), semrsm.rsm(x, y))
    np.testing.assert_array_equal(semrsm.gram(made(x)).inner, semrsm.gram(x).inner)
    a, b = x[0] @ y[0].T, x[1] @ y[1].T
    assert semrsm.match(made(a)).value == semrsm.match(a).value
    assert semrsm.match(None, x=made(x[0]), y=made(y[0])).value == semrsm.match(a).value
    a, b = a + a.T, b + b.T
    assert semrsm.hsic(made(a), made(b)) == semrsm.hsic(a, b)
    assert semrsm.cka(made(a), made(b)) == semrsm.cka(a, b)
    assert semrsm.cka_test(made(a), made(b), n_permutations=20) == semrsm.cka_test(a, b, n_permutations=20)
    p = np.array([[0.5, 0.25, 0.25], [1, 0, 0]], dtype)
    np.testing.assert_array_equal(semrsm.jensen_shannon(made(p)), semrsm.jensen_shannon(p))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([np.zeros((4, 3)), np.zeros((5, 3))], r"one shape, got \(4, 3\) and \(5, 3\)"),
        ([[1, 2], [3]], r"one shape, got \(2,\) and \(1,\)"),
        (torch.zeros(4, 3), r"must be \[images, positions, channels\].*got \(4, 3\)"),
        ([], r"must be \[images, positions, channels\].*got \(0,\)"),
    ],
)
def test_what_is_no_array_of_images_is_refused_with_its_shape(given: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        semrsm.rsm(given)


def test_what_can_be_sliced_is_not_read() -> None:
    class Lazy:
        shape, dtype = (4, 3, 2), np.dtype(np.float32)

        def __array__(self) -> np.ndarray:
            raise AssertionError

    lazy = Lazy()
    assert as_array(lazy) is lazy
    assert as_array(None) is None
