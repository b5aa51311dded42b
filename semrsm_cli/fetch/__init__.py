"""What comes from the network: resumed where it broke off, verified, and noted beside where it lies."""

from semrsm_cli.fetch.download import Download, digest_file
from semrsm_cli.fetch.hub import Repository
from semrsm_cli.fetch.offer import Offer
from semrsm_cli.fetch.record import Record, fetched_folder, read_record

__all__ = ["Download", "Offer", "Record", "Repository", "digest_file", "fetched_folder", "read_record"]
