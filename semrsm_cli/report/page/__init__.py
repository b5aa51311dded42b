"""The page of `semrsm report`: one HTML file that tells what was run, what came out, and how it was made."""

from semrsm_cli.report.page.render import render_page
from semrsm_cli.report.page.results import Results

__all__ = ["Results", "render_page"]
