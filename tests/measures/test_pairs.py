"""Pairs of a square matrix and their ranks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from semrsm_cli.measures import pairs
from semrsm_cli.measures.pairs import ranks, row_blocks, upper
from tests import naive


def above(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]


def test_worked_example() -> None:
    matrix = np.array([[9.0, 0.5, 0.7], [9.0, 9.0, 0.5], [9.0, 9.0, 9.0]])
    assert ranks(matrix)[:].tolist() == [[0, 1.5, 3], [0, 0, 1.5], [0, 0, 0]]


@given(st.data(), st.integers(2, 8), st.integers(1, 9))
def test_ranks_count_smaller_and_equal_values(data: st.DataObject, n: int, rows_at_once: int) -> None:
    matrix = data.draw(arrays(np.float32, (n, n), elements=st.integers(-2, 2).map(float)))
    found = ranks(matrix, rows_at_once=rows_at_once)
    np.testing.assert_array_equal(above(found[:]), naive.average_ranks(above(matrix)))
    np.testing.assert_array_equal(np.vstack([found[i : i + 3] for i in range(0, n, 3)]), found[:])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, ">f4"])
def test_ranks_are_scipy_s(rng: np.random.Generator, dtype: str) -> None:
    matrix = (20 * rng.normal(size=(60, 60))).astype(dtype)
    for rows_at_once in (None, 1, 7, 60, 100):
        found = above(ranks(matrix, rows_at_once=rows_at_once)[:])
        np.testing.assert_array_equal(found, rankdata(above(matrix)), err_msg=f"rows_at_once={rows_at_once}")


def test_sorting_in_parts_changes_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = rng.normal(size=(60, 60)).round(1)
    for n_bytes in (1, 1000, 4000):
        monkeypatch.setattr(pairs, "_SORTED_AT_ONCE", n_bytes)
        found = above(ranks(matrix, rows_at_once=5)[:])
        np.testing.assert_array_equal(found, rankdata(above(matrix)), err_msg=f"{n_bytes} bytes")


def test_zeros_of_both_signs_tie() -> None:
    matrix = np.array([[0, -0.0, 0.0], [0, 0, 1.0], [0, 0, 0]])
    assert above(ranks(matrix)[:]).tolist() == [1.5, 1.5, 3]


@given(st.integers(1, 40), st.integers(1, 45))
def test_blocks_cover_every_pair_once(n: int, rows_at_once: int) -> None:
    matrix = np.arange(n * n, dtype=np.float64).reshape(n, n)
    values = [upper(matrix, start, stop, "x") for start, stop in row_blocks(n, rows_at_once)]
    np.testing.assert_array_equal(np.concatenate(values), above(matrix))


def test_only_broken_entries_above_the_diagonal_matter() -> None:
    matrix = np.zeros((5, 5))
    matrix[np.tril_indices(5)] = np.nan
    assert upper(matrix, 0, 5, "x").size == 10
    matrix[3, 4] = np.inf
    with pytest.raises(ValueError, match="similarity holds NaN or infinity, for images 3 and 4 first"):
        upper(matrix, 2, 5, "similarity")


def test_ranks_need_a_square_matrix() -> None:
    with pytest.raises(ValueError, match=r"square matrix, got \[3, 4\]"):
        ranks(np.zeros((3, 4)))


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_keep_what_was_written(rng: np.random.Generator, tmp_path: Path, mode: str) -> None:
    # their pages are let go after reading; those of mode "c" exist nowhere else
    matrix = rng.normal(size=(30, 30))
    np.save(tmp_path / "matrix.npy", matrix)
    mapped = np.load(tmp_path / "matrix.npy", mmap_mode=mode)
    if mode != "r":
        mapped[0, 1] = matrix[0, 1] = 7.0
    for source in (mapped, mapped[:]):
        for _ in range(2):
            np.testing.assert_array_equal(upper(source, 0, 30, "x"), above(matrix))
