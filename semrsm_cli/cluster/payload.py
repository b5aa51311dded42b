"""What all units of a step have in common: written to the store once, and read there by each worker once."""

import hashlib
import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic

__all__ = ["Payload"]


@dataclass(frozen=True)
class Payload:
    """An object in a file, which is opened only if it holds the bytes that were written.

    The hash comes by way of the scheduler, as the code that is run does: who could forge it could run any code anyway.
    """

    path: str
    digest: str

    @classmethod
    def write(cls, shared: Any, path: Path) -> "Payload":
        """Write an object."""
        content = pickle.dumps(shared)
        with atomic(path) as unfinished:
            unfinished.write_bytes(content)
        return cls(str(path), _digest(content))

    def read(self) -> Any:
        """The object; the same one each time within a process.

        Raises:
            SemrsmError: The file is not as it was written.
        """
        return _read(self)


@lru_cache(2)
def _read(payload: Payload) -> Any:
    content = Path(payload.path).read_bytes()
    if _digest(content) != payload.digest:
        raise SemrsmError(f"{payload.path} was damaged while this ran; run it again")
    return pickle.loads(content)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
