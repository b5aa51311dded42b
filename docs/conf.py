"""How Sphinx builds the documentation: `sphinx-build -n -W --keep-going docs docs/_build`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

from semrsm_cli import __version__  # noqa: E402 (of this checkout)

project = "semrsm"
author = "the authors of semrsm"
project_copyright = author
version = release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "docstrings",
    "settings_reference",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_title = "semrsm"
html_theme_options = {"source_edit_link": ""}
html_copy_source = False
copybutton_prompt_text = ">>> "

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80  # beyond, a line for each argument
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Types of other libraries, and those that only the engine hands around, have no pages here.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|collections|typing|types|enum|pathlib|npt|torch|PIL)\..*"),
    ("py:.*", r"(Any|ArrayLike|NDArray|Callable|Sequence|Mapping|Iterator|Iterable|StrEnum|Ellipsis|Self|RDMs)"),
    ("py:.*", r"(semrsm_cli\..*\.)?(Engine|GivenLayers|Rows|Tile|TileStore|TileWork|_\w+)"),
]
