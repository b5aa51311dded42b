"""Images in Hugging Face data sets: on the hub, in its cache, or in a local copy."""

import sys
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semrsm_cli.data.content import HashFile, hash_bytes, hash_file, read_picture
from semrsm_cli.data.folders import SPLITS, split_aliases
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import BY_DEFAULT, Images, Reading, decode, header_of, with_readable
from semrsm_cli.data.published import PUBLISHED
from semrsm_cli.data.sets import ClassifiedImages
from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import fetched_folder, read_record

__all__ = ["hub_classified", "hub_images"]


@dataclass(frozen=True)
class _Rows:
    """Reads the images of a Hugging Face data set, whose ids are `<split>/<row>`; the images are not decoded in it."""

    rows: Any
    source: str
    max_pixels: int

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture in a row, and its version key."""
        row = self.row(image_id)
        if row["bytes"] is None:
            return read_picture(Path(row["path"]), self.max_pixels)
        return decode(BytesIO(row["bytes"]), f"{self.source} {image_id}", self.max_pixels), hash_bytes(row["bytes"])

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the encoded picture."""
        row = self.row(image_id)
        return hash_file(Path(row["path"])) if row["bytes"] is None else hash_bytes(row["bytes"])

    def header(self, image_id: str) -> Header:
        """What the encoded picture, or its file, says of it."""
        row = self.row(image_id)
        if row["bytes"] is None:
            return header_of(row["path"], str(row["path"]), self.max_pixels)
        return header_of(BytesIO(row["bytes"]), f"{self.source} {image_id}", self.max_pixels)

    def row(self, image_id: str) -> dict[str, Any]:
        """The encoded picture: `bytes`, or else the `path` of a file."""
        picture: dict[str, Any] | None = self.rows[int(image_id.rsplit("/", 1)[1])]["image"]
        if picture is None:
            raise SemrsmError(f"{self.source} {image_id} holds no image; set dataset.on_error=skip")
        return picture


def hub_images(name: str, hub: str, split: str, *, reading: Reading = BY_DEFAULT) -> Images:
    """The images of one split of a Hugging Face data set, in its order.

    Args:
        name: Name of the set, as in tables.
        hub: Id on the hub, of which only the split's files are fetched; or a local folder: a clone, one written by
            `save_to_disk`, or an image folder with splits.
        split: Name of the split; `val`, `validation` and `valid` are one.
        reading: How files are read, and what is done with broken ones.

    Returns:
        The images, with ids `<split>/<row>`; each is a group of its own.

    Raises:
        SemrsmError: The data set, its split or its images cannot be had.
    """
    rows, split_name = _load_split(hub, split)
    return with_readable(_images_of(name, hub, rows, split_name, reading), reading)


def hub_classified(
    name: str, hub: str, split: str, *, label: str = "label", reading: Reading = BY_DEFAULT
) -> ClassifiedImages:
    """The images of one split of a Hugging Face data set, with their classes.

    Args:
        name: Name of the set, as in tables.
        hub: Id on the hub or a local folder, as `hub_images` takes it.
        split: Name of the split.
        label: Column of the classes, which must tell their names.
        reading: How files are read, and what is done with broken ones.

    Returns:
        The images; their classes have the names and the order that the data set gives them.

    Raises:
        SemrsmError: As `hub_images`, or the column is missing, has no names, or lacks the class of an image.
    """
    import datasets

    rows, split_name = _load_split(hub, split)
    feature = rows.features.get(label)
    if not isinstance(feature, datasets.ClassLabel):
        kinds = ", ".join(name for name, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel))
        raise SemrsmError(
            f"{hub} has no column {label!r} with names of classes (its columns of that kind: {kinds or 'none'}); give "
            "another data set, or the images in folders by dataset.root"
        )
    labels = np.asarray([-1 if value is None else value for value in rows[label]], np.int64)
    if (labels < 0).any():
        raise SemrsmError(f"{hub} has no class for {(labels < 0).sum()} images of {split_name}; train on another split")
    whole = ClassifiedImages(_images_of(name, hub, rows, split_name, reading), tuple(feature.names), labels)
    images = with_readable(whole.images, reading)
    readable = set(images.ids)
    kept = whole.select([i for i, image_id in enumerate(whole.images.ids) if image_id in readable])
    return replace(kept, images=images)


def _images_of(name: str, hub: str, rows: Any, split_name: str, reading: Reading) -> Images:
    """The images in the rows of a split, each a group of its own."""
    ids = tuple(f"{split_name}/{row:08d}" for row in range(len(rows)))
    return Images(name, ids, ids, _Rows(_encoded(rows, hub), hub, reading.max_pixels))


def _fetch(hub: str, split: str) -> Path:
    """The folder that holds a split: what `semrsm data fetch` fetched, else what the hub brings into its cache."""
    fetched = fetched_folder(hub, "dataset", split_aliases(split))
    if fetched is not None:
        return fetched
    noted = read_record(hub, "dataset")
    commit = None if noted is None else noted.commit
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    patterns = ["README.md", *(f"*{alias}*" for alias in split_aliases(split))]
    try:
        return Path(snapshot_download(hub, repo_type="dataset", revision=commit, allow_patterns=patterns))
    except GatedRepoError as error:
        raise SemrsmError(
            f"{hub} asks for consent: accept its terms on {constants.ENDPOINT}/datasets/{hub}, then run hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise SemrsmError(f"{hub} is neither a folder nor a Hugging Face data set that you may see") from error
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise SemrsmError(
            f"{hub} is no folder, and cannot be fetched from Hugging Face ({type(error).__name__}); where there is a "
            f"network run {_command(hub, split)}, and point HF_HOME at what it filled, or dataset.hub at a local copy"
        ) from error


def _command(hub: str, split: str) -> str:
    """The command that fetches a split of a data set."""
    known = [name for name, published in PUBLISHED.items() if published.repository == hub]
    return f"semrsm data fetch {known[0]} split={split}" if known else f"hf download --repo-type dataset {hub}"


def _load_split(source: str, split: str) -> tuple[Any, str]:
    """The rows of a split with all their columns, and the name that the split goes by."""
    import datasets

    folder = Path(source).expanduser()
    folder = folder if folder.is_dir() else _fetch(source, split)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
            rows, split_name = _saved_split(datasets.load_from_disk(str(folder)), split, source)
        else:
            files, features = _files_by_split(folder)
            split_name = _choose(split, list(files), source)
            # only the files of this split, or all of them would be copied into the cache
            rows = datasets.load_dataset(
                str(folder),
                data_files={split_name: files[split_name]},
                split=split_name,
                features=features,  # of its card; with files named one by one it would not be read
                verification_mode="no_checks",
            )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise SemrsmError(f"{source} cannot be read as a data set: {' '.join(str(error).split())}") from error
    return rows, split_name


def _files_by_split(folder: Path) -> tuple[dict[str, list[str]], Any]:
    """The files of each split in a folder, and the features that its card tells.

    Where other splits than one were not fetched, the card names files that are not there, which no builder forgives.
    """
    import datasets
    from datasets.info import DatasetInfosDict

    try:
        builder = datasets.load_dataset_builder(str(folder))
    except (OSError, ValueError):
        names = [split for aliases in SPLITS.values() for split in aliases]
        parquet = {name: sorted(map(str, folder.rglob(f"{name}-*.parquet"))) for name in names}
        described = list(DatasetInfosDict.from_directory(str(folder)).values())
        if not any(parquet.values()) or len(described) > 1:
            raise
        return {name: files for name, files in parquet.items() if files}, described[0].features if described else None
    return {str(name): list(files) for name, files in (builder.config.data_files or {}).items()}, builder.info.features


def _saved_split(saved: Any, split: str, source: str) -> tuple[Any, str]:
    """The split of what `save_to_disk` wrote: several splits, or one that may have no name."""
    if isinstance(saved, dict):
        split_name = _choose(split, list(saved), source)
        return saved[split_name], split_name
    return saved, _choose(split, [str(saved.split or split)], source)


def _choose(split: str, names: list[str], source: str) -> str:
    """The split among these, whatever its spelling."""
    for alias in split_aliases(split):
        if alias in names:
            return alias
    remedy = (
        "" if Path(source).expanduser().is_dir() else f"; what there is more is fetched by {_command(source, split)}"
    )
    raise SemrsmError(f"{source} has no split {split!r}; it holds {', '.join(names) or 'none'}{remedy}")


def _encoded(rows: Any, source: str) -> Any:
    """The rows with their images as bytes or paths, in a column `image`."""
    import datasets

    images = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    if not images:
        raise SemrsmError(f"{source} has no column of images; its columns are {', '.join(rows.features)}")
    column = "image" if "image" in images else images[0]
    return (
        rows.select_columns(column).cast_column(column, datasets.Image(decode=False)).rename_columns({column: "image"})
    )
