"""A page is HTML that escapes its texts and holds its pictures."""

from __future__ import annotations

import base64

from apnet_fast.report.page import Bar, Bars, Box, Page, Picture, Section, Table, render
from tests.report.html_pages import checked


def test_all_parts_are_rendered_and_escaped() -> None:
    nasty = 'a<b>&"c"'
    picture = Picture(b"<svg>wide</svg>", nasty, f"caption {nasty}", 500, b"<svg>narrow</svg>")
    bars = Bars(f"group {nasty}", [Bar(nasty, 0.5, "7", "bad", "note")], "below")
    table = Table(nasty, ("", "n"), [("row", "1")], frozenset({1}))
    folded = Table("folded", ("", "n"), [("inner", "2")], folded=True)
    page = Page(
        nasty, nasty, [Box("1", nasty, "d")], [Section("k", nasty, nasty, [picture], [bars], [table])], [], [folded]
    )
    found = checked(render(page))
    assert "b" not in found.tags
    assert found.words.count(nasty) >= 5
    assert found.alts == [nasty]
    wide, narrow = b"<svg>wide</svg>", b"<svg>narrow</svg>"
    assert {base64.b64decode(load.split(",")[1]) for load in found.loads} == {wide, narrow}
    assert {"details", "summary", "figcaption"} <= found.tags


def test_a_bar_is_as_long_as_its_share() -> None:
    text = render(Page("t", "l", figures=[Section("k", "s", bars=[Bars("g", [Bar("n", 0.25, "1")])])]))
    assert "width: 25.00%" in text
    assert "<figure" not in text


def test_an_empty_section_is_false() -> None:
    assert not Section("k", "title")
    assert Section("k", "title", "text")
