"""Arrays as users have them: lists, and tensors of torch with or without a gradient, wherever they lie."""

from typing import Any

import numpy as np

__all__ = ["as_array"]


def as_array(given: Any) -> Any:
    """An array of a tensor, or of a list of numbers, arrays or tensors; what has a shape otherwise stays as it is.

    Tensors are copied to the processor where they are not there; bfloat16, which NumPy lacks, becomes float32, which
    holds its values.

    Raises:
        ValueError: If the parts of a list differ in shape.
    """
    if hasattr(given, "detach"):  # a tensor, for which torch need not be imported
        tensor = given.detach().cpu()
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    if not isinstance(given, list | tuple):
        return given
    parts = [as_array(part) for part in given]
    shapes = list(dict.fromkeys(np.shape(part) for part in parts))
    if len(shapes) > 1:
        raise ValueError(f"the parts of a list must have one shape, got {shapes[0]} and {shapes[1]}")
    return np.asarray(parts)
