"""How much of the images a network sees, and a note of it."""

from collections import Counter
from dataclasses import dataclass

from semrsm_cli.data import Images
from semrsm_cli.models import Network
from semrsm_cli.models.framing import share_seen
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log

__all__ = ["Seen", "log_unseen", "note_share_seen"]

_MAX_SIZES = 64  # of pictures; where there are more, those of one shape count as alike
_SHORT_SIDE = 128  # in pixels, to which all are brought to compare their shapes
_WHOLE = 0.99

_Size = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """The share of a picture that a network sees: the least, of pictures of which size, and the mean over images."""

    least: float
    width: int
    height: int
    mean: float


def note_share_seen(folder: RunFolder, network: Network, *sets: Images, key: str = "share_seen") -> Seen:
    """Tell run.json how much of the images the network's preprocessing leaves in its input.

    Args:
        folder: The run.
        network: The network, with the framing that the settings ask for.
        sets: The images, in one or several parts.
        key: Name of the fact.
    """
    sizes = Counter((header.width, header.height) for images in sets for header in images.headers)
    if len(sizes) > _MAX_SIZES:
        sizes = _one_of_each_shape(sizes)
    shares = {size: share_seen(network.preprocess, *size) for size in sizes}
    least = min(shares, key=shares.__getitem__)
    mean = sum(shares[size] * n for size, n in sizes.items()) / sizes.total()
    folder.note(**{key: {"least": round(shares[least], 3), "mean": round(mean, 3)}})
    return Seen(shares[least], *least, mean)


def _one_of_each_shape(sizes: Counter[_Size]) -> Counter[_Size]:
    """The first size of each shape, to a percent, for all of it: what preprocessing cuts off follows from the shape."""
    first: dict[_Size, _Size] = {}
    shapes: Counter[_Size] = Counter()
    for (width, height), n in sizes.items():
        short = min(width, height)
        shape = round(_SHORT_SIDE * width / short), round(_SHORT_SIDE * height / short)
        shapes[first.setdefault(shape, (width, height))] += n
    return shapes


def log_unseen(label: str, seen: Seen) -> None:
    """Say on one line that a network does not see all that is scored, and what shows it the whole."""
    if seen.least < _WHOLE:
        log(
            f"{label} sees {100 * seen.least:.0f} % of a {seen.width} x {seen.height} frame; model.framing=squash or "
            "pad shows it the whole"
        )
