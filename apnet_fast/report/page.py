"""Hold the parts of a report's page, and render them to one HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Picture:
    """A figure, as SVG files for wide and for narrow screens (the wide one if empty).

    alt: what it shows, for those who cannot see it. width: largest width in CSS pixels.
    """

    wide: bytes
    alt: str
    caption: str
    width: int
    narrow: bytes = b""


@dataclass(frozen=True)
class Bar:
    """A labelled bar. share: its length, 0 to 1. value: the text beside it. kind: "bad", "warn" or empty."""

    name: str
    share: float
    value: str
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """A group of bars under a title."""

    title: str
    bars: Sequence[Bar]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts. numbers: columns of numbers, aligned right. paths: columns that may break anywhere."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    paths: frozenset[int] = frozenset()
    folded: bool = False
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A section with a heading; `key` is its anchor in the page."""

    key: str
    title: str
    text: str = ""
    pictures: Sequence[Picture] = ()
    bars: Sequence[Bars] = ()
    tables: Sequence[Table] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.pictures or self.bars or self.tables)


@dataclass(frozen=True)
class Box:
    """A number at the top of the page."""

    value: str
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Page:
    """A whole report. figures come before tables; folded are the parts that the reader opens."""

    title: str
    lead: str
    boxes: Sequence[Box] = ()
    figures: Sequence[Section] = ()
    tables: Sequence[Section] = ()
    folded: Sequence[Table] = field(default=())


def render(page: Page) -> str:
    """Return the page as HTML. All texts are escaped; figures are inside the file."""
    environment = Environment(
        loader=PackageLoader("apnet_fast.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("report.html").render(page=page)


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + b64encode(svg).decode("ascii")
