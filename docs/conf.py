"""Settings of the site: `make docs` builds it from the pages of this folder and the docstrings of the package."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from apnet_fast._version import __version__  # noqa: E402

project = "apnet_fast"
author = "apnet_fast developers"
copyright = "apnet_fast developers. BSD-3-Clause"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinxcontrib.mermaid"]
exclude_patterns = ["conf.py", "rooms.py"]
root_doc = "index"

# Links to headings work as they do where the pages are read as plain files.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_fence_as_directive = ["mermaid"]
# The notebook's output is stored in it; tests run its code (tests/test_notebook.py).
nb_execution_mode = "off"

# In docstrings, single backticks are code.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "apnet_fast"
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}

# "name: text" or "name, name: text".
_TERM = re.compile(r"^([a-z_]\w*(?:, (?:[a-z_]\w*|\.\.\.))*): (?=\S)")
_TITLES = ("Parameters", "Returns", "Raises", "Warns")
# A name that ends in an underscore would be a link, and a star would begin an emphasis.
_SPECIAL = re.compile(r"(?<=\w)_(?!\w)|\*")

_NDARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]"
)
_FORWARD = re.compile(r"~?(?:\w+\.)*TypeAliasForwardRef\('(\w+)'\)")


def docstring_as_rst(lines: list[str]) -> list[str]:
    """Return a docstring of this package as reStructuredText: titles in bold, and what "name: text" explains as lists.

    A paragraph is such a list if each of its lines begins with names and a colon, or is indented.
    """
    found: list[str] = []
    for paragraph in "\n".join(lines).split("\n\n"):
        part = [_escaped(line) for line in paragraph.splitlines()]
        if len(part) > 1 and part[0] in _TITLES and set(part[1]) == {"-"}:
            found += [f"**{part[0]}**", ""]
            part = part[2:]
        if part and _TERM.match(part[0]) and all(_TERM.match(line) or line.startswith("    ") for line in part):
            part = [_TERM.sub(r"- **\1**: ", line) if _TERM.match(line) else f"  {line.strip()}" for line in part]
        found += [*part, ""]
    return found


def _escaped(line: str) -> str:
    """Escape what means something in reStructuredText but not in our docstrings, outside of backticks."""
    pieces = line.split("`")
    pieces[::2] = [_SPECIAL.sub(r"\\\g<0>", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def plain_types(text: str | None) -> str | None:
    """Return a signature with the types as its source writes them: NDArray[float32], ArrayLike."""
    return None if text is None else _FORWARD.sub(r"\1", _NDARRAY.sub(r"NDArray[\1]", text)).replace("[_ScalarT]", "")


def _process_signature(
    app: object, what: str, name: str, thing: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    return plain_types(signature), plain_types(returns)


def _process_docstring(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    lines[:] = docstring_as_rst(lines)


def setup(app) -> None:  # type: ignore[no-untyped-def]
    """Connect the functions above to autodoc."""
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("autodoc-process-docstring", _process_docstring)
