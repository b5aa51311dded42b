"""Batches that processes read ahead."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from semrsm_cli.errors import SemrsmError

__all__ = ["load_batches"]


def load_batches(examples: Dataset[Any], batches: Iterable[list[Any]], num_workers: int) -> Iterator[Any]:
    """The examples of each batch, stacked.

    Args:
        examples: What is loaded.
        batches: The indices of each batch.
        num_workers: Processes that load; 0 loads in this one.

    Raises:
        SemrsmError: An example cannot be read: the example's own error, on one line whichever process read it.
    """
    try:
        yield from DataLoader(examples, batch_sampler=batches, num_workers=num_workers)
    except SemrsmError as error:  # torch hands on a process's error with its traceback as text, which ends in the error
        raise SemrsmError(str(error).rpartition(f"{SemrsmError.__name__}: ")[2].strip()) from error
