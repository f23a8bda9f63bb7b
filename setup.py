"""The one thing that pyproject.toml cannot say: the README as a package index shows it, where relative links break."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
# [text](target), where the target is a file of the repository.
_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)]+)\)")
_PAGES = {"CONTRIBUTING.md": "contributing.html", "CHANGELOG.md": "changes.html"}
_NOTE = "Paths such as `docs/inputs.md` are files of the source distribution.\n"


def index_readme(text: str, site: str | None) -> str:
    """Return the README with links into the site, or, as long as the site has no address, with names of files."""

    def replaced(link: re.Match[str]) -> str:
        words, target = link[1], link[2]
        if site is None:
            return f"`{target}`" if words == target else f"{words} (`{target}`)"
        page = _PAGES.get(target) or re.sub(r"^docs/(\w[\w-]*)\.(?:md|ipynb)", r"\1.html", target)
        return f"[{words}]({site.rstrip('/')}/{page})"

    linked = _LINK.sub(replaced, text)
    if site is not None:
        return linked
    title, rest = linked.split("\n", 1)
    return f"{title}\n\n{_NOTE}{rest}"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=index_readme(
            (ROOT / "README.md").read_text(encoding="utf-8"), project.get("urls", {}).get("Documentation")
        ),
        long_description_content_type="text/markdown",
    )
