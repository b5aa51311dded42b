"""The Hugging Face hub: online where it can be reached, else its cache alone."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants

from semrsm_cli.models.published import PUBLISHED

__all__ = ["cache_first", "how_to_fetch"]

_PROBE_SECONDS = 3.0


@contextmanager
def cache_first() -> Iterator[None]:
    """Make the hub's libraries read their cache at once where there is no network.

    By default they try each file six times, for half a minute, before they read the cache.
    """
    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = was_offline or not _is_reachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _is_reachable() -> bool:
    """Whether the hub answers, in any way."""
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def how_to_fetch(repository: str, revision: str | None = None, *, random_works: bool) -> str:
    """How to get a checkpoint onto a machine without network access, on one line.

    Args:
        repository: Id on the hub.
        revision: Branch, tag or commit.
        random_works: Whether the network can be built with random weights instead.
    """
    at = f" --revision {revision}" if revision else ""
    known = PUBLISHED.get(repository)
    command = f"hf download {repository}{at}" if known is None else f"semrsm data fetch {known.preset}"
    otherwise = ", or take model.weights=random" if random_works else ""
    return (
        f"{repository} is not in the cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} can't be reached; "
        f"run `{command}` on a machine with network, copy its Hugging Face cache here and point "
        f"HF_HOME at it{otherwise}"
    )
