"""What others hand out, and on what terms."""

from dataclasses import dataclass

__all__ = ["Offer"]


@dataclass(frozen=True)
class Offer:
    """A data set or weights that others hand out.

    Attributes:
        what: What it is, in a few words.
        n_bytes: About how many bytes are fetched.
        licence: On what terms.
        terms: The page that tells them.
    """

    what: str
    n_bytes: int
    licence: str
    terms: str
