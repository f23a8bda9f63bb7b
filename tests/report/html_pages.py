"""Check pages of HTML: balanced tags, what they load, and their words."""

from __future__ import annotations

from html.parser import HTMLParser


class Checker(HTMLParser):
    """Fails on tags that are not closed; keeps attributes that load something, ids, tags, alt texts, and words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str | None] = []
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.add(tag)
        given = dict(attrs)
        self.links += [str(given["href"])] if "href" in given else []
        self.loads += [str(given[name]) for name in ("src", "action", "srcset") if name in given]
        self.ids += [str(given["id"])] if "id" in given else []
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last tag, which must be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words of a text."""
        if data.strip():
            self.words.append(data.strip())


def checked(text: str) -> Checker:
    """Return the content of a page. Fails if its tags are not balanced, or if it loads anything."""
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert all(load.startswith("data:image/svg+xml;base64,") for load in checker.loads)
    assert all(link.startswith("#") and link[1:] in checker.ids for link in checker.links)
    assert len(set(checker.ids)) == len(checker.ids)
    assert "@import" not in text
    assert "url(" not in text
    return checker
