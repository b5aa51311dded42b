"""Batches that processes read ahead."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from semrsm_cli.errors import SemrsmError

__all__ = ["load_batches"]


def load_batches(
    examples: Dataset[Any], batches: Iterable[list[Any]], num_workers: int, *, device: str = "cpu"
) -> Iterator[Any]:
    """The examples of each batch, stacked.

    Args:
        examples: What is loaded.
        batches: The indices of each batch.
        num_workers: Processes that load; 0 loads in this one.
        device: Where they go to: pages of batches for CUDA are locked, so that nothing waits while they are copied.

    Raises:
        SemrsmError: An example cannot be read: the example's own error, on one line whichever process read it.
    """
    try:
        yield from DataLoader(
            examples,
            batch_sampler=batches,
            num_workers=num_workers,
            pin_memory=torch.device(device).type == "cuda",
        )
    except SemrsmError as error:  # torch hands on a process's error with its traceback as text, which ends in the error
        raise SemrsmError(str(error).rpartition(f"{SemrsmError.__name__}: ")[2].strip()) from error
