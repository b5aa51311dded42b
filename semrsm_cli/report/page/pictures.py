"""Pictures inside the page, as WebP in base64, within a budget of bytes."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from semrsm_cli.report.page.content import Figure
from semrsm_cli.report.runs import Run

__all__ = ["Budget", "Budgets", "captioned_figures", "figure_of", "thumbnail_source"]

_PHOTOGRAPHIC = ("neighbours", "matched")  # how the names of figures begin that show photographs
_WIDEST = 1600  # pixels of a figure: twice the width of the page's column
_WIDEST_PHOTOGRAPH = 1000
_PIXELS_AN_INCH = 120.0  # the page's column is as wide as a figure of the paper's width
_QUALITY = 82
_CAPTIONS: dict[str, tuple[str, str]] = {
    "translation": (
        "RSMs of crops that overlap",
        "Similarities of upper crops with lower crops of the same photographs: what both show stands elsewhere. The "
        "diagonals of the off-diagonal blocks hold the overlapping pairs; they stand out where the RSM sees the "
        "content wherever it is.",
    ),
    "scores": (
        "How well nearest neighbours show what the query shows",
        "Scores with their 95 % intervals for each kernel and invariance; higher is better.",
    ),
    "agreement": (
        "How far two ways to compare agree on neighbours",
        "Bars: the share of the nearest neighbours that both found; diamonds: the share of queries whose first one is "
        "the same.",
    ),
    "neighbours": (
        "A query and its nearest neighbours",
        "The query on the left, its neighbours under each invariance beside it, nearest first, with their scores.",
    ),
    "matched": (
        "Which patches were matched",
        "Patches of the same colour were matched to each other: the same content, wherever it stands.",
    ),
    "density": (
        "Similarity against divergence of the predictions",
        "Each cell counts pairs of images. The more a cloud falls from left to right, the better does similarity "
        "foretell that two images are classified alike.",
    ),
    "intervals": (
        "Correlations with their intervals",
        "More negative is better. On the right the difference itself: it is clear where its interval leaves out 0.",
    ),
    "depth": ("Correlation by depth", "The correlation at each layer, from the first to the last."),
    "runtime": (
        "What each matching costs",
        "Seconds a pair against the number of positions, both on logarithmic scales; lower is better.",
    ),
    "alignment": (
        "What each matching reaches",
        "The similarity that each method finds, as a share of the optimum; 1 is the optimum.",
    ),
    "cka": (
        "CKA between all layers",
        "Bright cells are layers with alike RSMs; on the left position by position, on the right semantic.",
    ),
    "consistency": (
        "How alike semantic and spatio-semantic RSMs are",
        "CKA of the two RSMs of each layer: near 1 where positions hardly matter any more.",
    ),
    "locality": (
        "How far may things move?",
        "From the semantic RSM on the left, where positions move freely, to the spatio-semantic one on the right, "
        "where they stay. Where the curve falls, that far did things have to move for the result on the left.",
    ),
    "learning_curve": ("Learning curve", "Loss and accuracy after each epoch; the dashed line is chance."),
    "rsm": ("RSM", "Similarity of each image with each other; colours leave out an image with itself."),
}


@dataclass
class Budget:
    """Bytes that pictures may take together; who comes too late is left out, and says so.

    Attributes:
        left: Bytes that are left.
    """

    left: int

    def take(self, source: str) -> bool:
        """Whether so much was left; it is gone then."""
        if len(source) > self.left:
            return False
        self.left -= len(source)
        return True


@dataclass
class Budgets:
    """Bytes for pictures, so that the page stays small; what is beyond lies in the runs' folders, and the page says so.

    Attributes:
        charts: For figures that are drawn.
        photographs: For figures of photographs.
        gallery: For galleries and crops.
    """

    charts: Budget
    photographs: Budget
    gallery: Budget

    @classmethod
    def for_runs(cls, n: int) -> "Budgets":
        """What keeps a page of a dozen runs below 5 MB, and any below 10 MB."""
        scale = min(2.0, max(1.0, n / 12))
        return cls(*(Budget(int(scale * size)) for size in (1_500_000, 1_200_000, 1_500_000)))

    def of_figure(self, name: str) -> Budget:
        """The one that a figure takes from."""
        return self.photographs if name.startswith(_PHOTOGRAPHIC) else self.charts


def captioned_figures(
    run: Run, title: str, budget_of: Callable[[str], Budget], left_out: list[str]
) -> Iterator[Figure]:
    """The figures of a run as pictures with captions, by name; those beyond their budget are named in `left_out`."""
    for path in sorted((run.path / "figures").glob("*.png")):
        kind = "rsm" if "rsm" in run.tables else ""  # its figures are called by layers and files
        figure = figure_of(path, title, origin=run.path.as_posix(), kind=kind)
        if figure is None or not budget_of(path.stem).take(figure.src):
            left_out.append(path.as_posix())
        else:
            yield figure


def figure_of(path: Path, title: str, *, origin: str, kind: str = "") -> Figure | None:
    """A figure with the caption that its kind, or else its name, stands for; None where the file is no picture."""
    is_photograph = path.stem.startswith(_PHOTOGRAPHIC)
    encoded = _encode(path, _WIDEST_PHOTOGRAPH if is_photograph else _WIDEST, is_photograph=is_photograph)
    if encoded is None:
        return None
    kind = kind or next((kind for kind in _CAPTIONS if path.stem == kind or path.stem.startswith(f"{kind}_")), "")
    what, how = _CAPTIONS.get(kind, (path.stem.replace("_", " "), ""))
    if kind == "rsm":
        what = f"{what} {path.stem}"
    if kind == "scores" and path.stem != "scores":
        what = f"{what}, {path.stem.removeprefix('scores_').replace('_', ', ')} images"
    src, width, height = encoded
    text = f"{what}, {title}. {how}".strip()
    return Figure(src, width, height, text, text, origin, is_photograph)


def thumbnail_source(path: Path, side: int) -> str | None:
    """The address of a small picture; None where the file is none."""
    encoded = _encode(path, side, is_photograph=True)
    return None if encoded is None else encoded[0]


def _encode(path: Path, widest: int, *, is_photograph: bool = False) -> tuple[str, int, int] | None:
    """Address, width and height on the page of a picture: without loss, unless that takes more.

    A figure is as wide as it was drawn, so that the words of all have one size.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
            drawn = 1.0 if is_photograph else _PIXELS_AN_INCH / max(1.0, file.info.get("dpi", (_PIXELS_AN_INCH,))[0])
    except OSError:
        return None
    width, height = (max(1, round(drawn * side)) for side in image.size)
    if image.width > widest:
        image = image.resize((widest, round(image.height * widest / image.width)), Image.Resampling.LANCZOS)
    lossy = _webp(image, quality=_QUALITY)
    content = lossy
    if not is_photograph:
        lossless = _webp(image, lossless=True)
        content = lossless if len(lossless) <= len(lossy) else lossy
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}", width, height


def _webp(image: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", method=4, **options)
    return content.getvalue()
