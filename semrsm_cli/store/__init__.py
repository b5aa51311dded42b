"""What runs keep on disk: representations, finished tiles of RSMs, and room for matrices that outgrow the memory."""

from semrsm_cli.store.hashes import FileHashes
from semrsm_cli.store.inventory import TRAINING, Entry, Kind, damaged_parts, list_entries, remove
from semrsm_cli.store.keys import cache_folder, digest
from semrsm_cli.store.locks import locked
from semrsm_cli.store.parts import (
    chunks_not_seen,
    holds_chunk,
    note_again,
    noted_checksums,
    open_array,
    write_array,
)
from semrsm_cli.store.representations import Precision, Representation, Writer, open_stored
from semrsm_cli.store.scratch import PairsOnDisk
from semrsm_cli.store.tiles import TileFolder

__all__ = [
    "TRAINING",
    "Entry",
    "FileHashes",
    "Kind",
    "PairsOnDisk",
    "Precision",
    "Representation",
    "TileFolder",
    "Writer",
    "cache_folder",
    "chunks_not_seen",
    "damaged_parts",
    "digest",
    "holds_chunk",
    "list_entries",
    "locked",
    "note_again",
    "noted_checksums",
    "open_array",
    "open_stored",
    "remove",
    "write_array",
]
