"""The pages: links that lead somewhere, a site that has them all, commands and outputs that are real."""

from __future__ import annotations

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from apnet_fast.cli import app
from apnet_fast.recipes.flag_words import value_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Also the code of pages that are read as plain files.
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
_LINK = re.compile(r"\[[^\]]+\]\((?![a-z]+:)([^)#]*)(#[^)]*)?\)")


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as Markdown readers and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,4} (.+)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Targets of a page's relative links that are not there."""
    found = []
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        target = page if not match[1] else page.parent / match[1]
        if not target.is_file() or (match[2] and match[2] not in anchors(target)):
            found.append(match[0])
    return found


def long_lines(text: str) -> list[str]:
    """Lines of prose of more than 120 characters: not tables, nor what is shown as code or output."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in prose.splitlines() if len(line) > 120 and not line.startswith(("|", "    "))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_not_too_long(page: Path) -> None:
    assert long_lines(page.read_text(encoding="utf-8")) == []


def test_a_line_that_is_too_long_is_found() -> None:
    line = "word " * 24 + "w"
    assert long_lines(f"{line}\n\n| {line} |\n    {line}\n```\n{line}\n```\n{line[:120]}\n") == [line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](page.md#a-heading) [b](page.md#other) [c](gone.md) [d](https://e.org/f.md)\n")
    assert broken_links(page) == ["[b](page.md#other)", "[c](gone.md)"]


def test_the_site_has_every_page() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.MULTILINE | re.DOTALL)
    named = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    there = {page.stem for page in (*DOCS.glob("*.md"), *DOCS.glob("*.ipynb"))} - {"index"}
    assert len(named) == len(set(named))
    assert set(named) == there


def test_modules_and_verbs_that_pages_name_are_there() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    modules = set(re.findall(r"python -m ((?:apnet_fast|benchmarks|tests)[\w.]*\w)", text)) - {"apnet_fast.VERB"}
    assert len(modules) > 15
    assert [module for module in sorted(modules) if find_spec(module) is None] == []
    verbs = set(re.findall(r"apnet-fast ([a-z]+)", text))
    assert verbs <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_what_the_page_of_a_few_stars_shows_of_flags_is_printed() -> None:
    page = (DOCS / "predict.md").read_text(encoding="utf-8")
    assert f"```\n{value_text(2080)}\n```" in page


def test_docstrings_become_lists_and_titles() -> None:
    """Our docstrings are plain text; the site needs reStructuredText."""
    convert = runpy.run_path(str(DOCS / "conf.py"))["docstring_as_rst"]
    lines = ["One line about e_ and *stars*.", "", "Parameters", "----------", "a, b: first", "    and more", "c: last"]
    assert convert(lines) == [
        "One line about e\\_ and \\*stars\\*.", "", "**Parameters**", "", "- **a, b**: first", "  and more",
        "- **c**: last", "",
    ]  # fmt: skip
    # A paragraph that only begins like a list stays one, and code stays code.
    prose = ["product: whether its rows are", "stars. `e_` is code."]
    assert convert(prose) == [*prose, ""]


def test_types_are_named_as_in_the_source() -> None:
    plain = runpy.run_path(str(DOCS / "conf.py"))["plain_types"]
    assert plain("(flux: ~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.float32]])") == (
        "(flux: NDArray[float32])"
    )
    assert plain("TypeAliasForwardRef('ArrayLike') | None") == "ArrayLike | None"
    assert plain(None) is None
