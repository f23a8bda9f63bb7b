"""Pieces of HTML. Whatever is not made by a function of this module is text, and is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

_CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d1d1f; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
p.lead { color: #555; margin-top: 0; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee; }
th { font-weight: 600; color: #555; } td.n, th.n { text-align: right; }
td { overflow-wrap: anywhere; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { color: #555; font-size: .9rem; }
.bar { display: inline-block; height: .7rem; background: #0072B2; vertical-align: baseline; }
pre { background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: .85rem; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, lead: bool = False) -> str:
    """A paragraph."""
    return f"<p{' class=lead' if lead else ''}>{escape(text)}</p>"


def preformatted(text: str) -> str:
    """Text as a terminal shows it."""
    return f"<pre>{escape(text)}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], bars: Sequence[float] = ()) -> str:
    """A table; numbers to the right.

    bars: a share 0..1 of each row, drawn as a bar in a last column.
    """
    rows = [list(row) for row in rows]
    numbers = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(head))]

    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(
            f"<{tag}{' class=n' if number else ''}>{escape(_text(value))}</{tag}>"
            for value, number in zip(values, numbers, strict=True)
        )

    lines = [f"<tr>{cells('th', head)}{'<th></th>' if bars else ''}</tr>"]
    for i, row in enumerate(rows):
        bar = ""
        if bars:
            width = 14 * min(max(bars[i], 0.0), 1.0)
            bar = f'<td><span class="bar" style="width:{width:.2f}rem"></span></td>'
        lines.append(f"<tr>{cells('td', row)}{bar}</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def figure(png: bytes, caption: str, width: int) -> str:
    """An image inside the document; width in CSS pixels."""
    data = b64encode(png).decode("ascii")
    image = f'<img width="{width}" alt="{escape(caption)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
