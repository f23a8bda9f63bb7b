"""The report in a real browser, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apnet_fast.report.report import report_of
from tests.report.browser import CHROMIUM, Browser, browser
from tests.report.runs import RECORD, run_folder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

# Elements that reach beyond the window, unless they are inside one that scrolls.
_BEYOND = """[...document.querySelectorAll("body *")].filter(each => {
  if (each.closest(".scroll") && !each.classList.contains("scroll")) return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(each => each.tagName + "." + each.className)"""
# Words of a cell or heading that are broken in the middle, other than those of paths.
_BROKEN = """[...document.querySelectorAll("td:not(.path), th, dt, dd, .value, h1, h2, h3, caption")].filter(each => {
  const range = document.createRange();
  const walker = document.createTreeWalker(each, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (const word of node.data.matchAll(/\\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
      if (lines.size > 1) return true;
    }
  return false;
}).map(each => each.textContent)"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run, compared with an earlier one; all that is folded is open."""
    folder = tmp_path_factory.mktemp("report")
    new, old = (run_folder(folder / name, RECORD, seed=seed, failures=30) for seed, name in enumerate(("new", "old")))
    page = folder / "report.html"
    page.write_text(report_of(new, [old]).replace("<details>", "<details open>"), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A tab of a browser."""
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_nothing_overflows_or_breaks_and_the_console_is_silent(report: Path, tab: Browser, width: int) -> None:
    tab.show(report, width)
    assert tab.evaluate("innerWidth") == width
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(_BEYOND) == []
    assert tab.evaluate(_BROKEN) == []
    assert tab.evaluate("[...document.images].filter(each => !each.complete || !each.naturalWidth).length") == 0
    assert tab.errors == []
    assert {request for request in tab.requests if not request.startswith("file:")} == set()


def test_a_phone_has_narrow_figures_and_rows_as_cards(report: Path, tab: Browser) -> None:
    wide = "document.querySelectorAll('picture source').length && document.querySelector('#labels img').currentSrc"
    cells = "getComputedStyle(document.querySelector('td')).display"
    tab.show(report, 1280)
    desk = (tab.evaluate(wide), tab.evaluate(cells))
    tab.show(report, 390)
    phone = (tab.evaluate(wide), tab.evaluate(cells))
    assert desk[0] != phone[0]
    assert (desk[1], phone[1]) == ("table-cell", "grid")


def test_the_checks_can_fail(report: Path, tab: Browser, tmp_path: Path) -> None:
    """The twin: a wide element, a word that is broken and an error are all found."""
    broken = tmp_path / "broken.html"
    text = report.read_text(encoding="utf-8")
    text = text.replace("<main>", "<main><p style='width: 900px'>wide</p><script>console.error('no')</script>")
    text = text.replace("td { display: grid;", "td { overflow-wrap: anywhere; width: 3rem; display: block;")
    broken.write_text(text, encoding="utf-8")
    before = len(tab.errors)
    tab.show(broken, 390)
    assert "P." in tab.evaluate(_BEYOND)
    assert tab.evaluate(_BROKEN)
    assert len(tab.errors) == before + 1
    del tab.errors[before:]


def test_on_paper_everything_folded_is_open(report: Path, tab: Browser, tmp_path: Path) -> None:
    closed = tmp_path / "closed.html"
    closed.write_text(report.read_text(encoding="utf-8").replace("<details open>", "<details>"), encoding="utf-8")
    tab.show(closed, 1280)
    height = "[...document.querySelectorAll('details')].at(-1).getBoundingClientRect().height"
    screen = tab.evaluate(height)
    tab.media("print")
    assert tab.evaluate(height) > 2 * screen
    tab.media("")
