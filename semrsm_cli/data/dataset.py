"""What every data set can be asked for; the settings of each are a class of their own that answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from semrsm_cli.checks import require_at_least
from semrsm_cli.data.images import MAX_PIXELS, ImageOrder, Images, OnError, Reading, with_readable
from semrsm_cli.data.sets import LabelledImages, Metric, ResampleBy, RetrievalSet, TrainingSet
from semrsm_cli.data.split import draw_split, make_retrieval_set, read_split
from semrsm_cli.errors import ConfigError

__all__ = ["Dataset", "RetrievalDataset"]


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """A set of images; each kind adds its own settings."""

    name: str
    """Name of the set, as in tables."""
    on_error: OnError = OnError.stop
    """What to do with an image file that cannot be read: `stop`, or `skip` and count it."""
    max_pixels: int = MAX_PIXELS
    """Pixels of the largest image that is read; a larger one counts as one that cannot be."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "max_pixels")

    @property
    def reading(self) -> Reading:
        """How image files are read."""
        return Reading(self.on_error, self.max_pixels)

    @property
    def independent(self) -> ResampleBy:
        """What intervals resample: queries of one scene are not independent of each other."""
        return ResampleBy.scene

    def require_place(self) -> None:  # noqa: B027 what pip or a function brings needs no place
        """Raise SemrsmError where it is known, before anything slow is loaded, that its files cannot be found."""

    @abstractmethod
    def images(self, cache: Path) -> Images:
        """The images, each with the group that it belongs to.

        Args:
            cache: Folder that keeps what a set has to make first.

        Returns:
            The images in their stable order; those that were left out are named in `skipped`.

        Raises:
            SemrsmError: They are missing, or cannot be read.
        """

    def retrieval_set(self, cache: Path, seed: int, order: ImageOrder = ImageOrder.drawn) -> RetrievalSet:
        """Queries and a database to look for them in, with what their images show.

        Args:
            cache: Folder that keeps what a set has to make first.
            seed: Seed of the draw.
            order: In which order the images of each side are, unless a file of ids tells it.

        Returns:
            Both sides, and how a neighbour is scored.

        Raises:
            ConfigError: The set cannot be searched.
            SemrsmError: Images or labels are missing, or there are fewer than asked for.
        """
        raise ConfigError(
            f"dataset={self.name} holds no queries; choose dataset=egoobjects, cityscapes, scenes, folder or python"
        )

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """Images with one class each, to train on and to validate with.

        Args:
            cache: Folder that keeps what a set has to make first.
            val_fraction: Share of the images that is kept for validation where a set has none for it.

        Returns:
            Both parts, with the same classes.

        Raises:
            ConfigError: The set has no classes.
            SemrsmError: Images or classes are missing.
        """
        raise ConfigError(
            f"dataset={self.name} has no classes to learn; choose scenes, folder, python, cifar100, tiny_imagenet or "
            "imagenet"
        )


@dataclass(frozen=True, kw_only=True)
class RetrievalDataset(Dataset):
    """A set that `semrsm retrieve` draws queries and a database from."""

    n_queries: int | None = None
    """Number of queries."""
    n_database: int | None = None
    """Number of database images; null: all that are no queries."""
    split_file: str | None = None
    """File of ids to use instead of drawing, in its order, as a run leaves it in tables/draw.csv."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "n_queries", "n_database")

    @property
    def scored_by(self) -> Metric:
        """How a neighbour is scored, where it is known what the images show."""
        return Metric.count_f1

    @abstractmethod
    def labelled_images(self, cache: Path) -> LabelledImages:
        """All images that can be drawn, with what is known of them before; see `complete` for the rest.

        Args:
            cache: Folder that keeps what a set has to make first.

        Returns:
            The images in their stable order.

        Raises:
            SemrsmError: Images or labels are missing.
        """

    def images(self, cache: Path) -> Images:
        """The same images, without what they show."""
        return with_readable(self.labelled_images(cache).images, self.reading)

    def sides(self, images: Images) -> tuple[Images, Images]:
        """The images that may be queries, and those that may be in the database; by default all are both."""
        return images, images

    def complete(self, side: LabelledImages) -> LabelledImages:
        """Do what is done for those images only that were drawn: by default, leave out what cannot be read."""
        return side.readable(self.reading)

    def retrieval_set(self, cache: Path, seed: int, order: ImageOrder = ImageOrder.drawn) -> RetrievalSet:
        """Queries and a database to look for them in: drawn, or those that `split_file` names."""
        labelled = self.labelled_images(cache)
        if self.split_file:
            split = read_split(self.split_file)
        else:
            queries, database = self.sides(labelled.images)
            numbers = {"n_queries": self.n_queries, "n_database": self.n_database}
            split = draw_split(queries, database, **numbers, seed=seed, order=order)
        return make_retrieval_set(labelled, split, self.scored_by, self.complete)
