"""Make and write figures: matplotlib without pyplot, in one style, into files that appear complete."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import check_folder_of, written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind readers can distinguish.
ORANGE, BLUE, VERMILION = "#E69F00", "#0072B2", "#D55E00"
# Vermilion is too light for small text on white.
VERMILION_TEXT = "#A84300"
_DPI, _DPI_OF_NOTEBOOKS = 200, 90

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.labelsize": 10,
    "axes.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "mathtext.fontset": "dejavusans",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    # With a fixed salt the same figure gives the same bytes.
    "svg.hashsalt": "apnet_fast",
}


def check_matplotlib() -> None:
    """Raise UsageError with the remedy if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise UsageError(
            "figures need matplotlib, which is not installed", remedy="python -m pip install 'apnet_fast[plots]'"
        )


def check_figure_path(path: Path) -> None:
    """Raise UsageError, before any work is done, if a figure cannot be written to `path`."""
    check_matplotlib()
    if path.suffix.lower() not in FORMATS:
        raise UsageError("unknown kind of figure", got=str(path), expected=f"a name that ends in {' | '.join(FORMATS)}")
    check_folder_of(path)


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of this size [inch] in the package's style; draw on it inside the block."""
    check_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with matplotlib.rc_context(_STYLE):
        figure = _figure_class()(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


@cache
def _figure_class() -> type[Figure]:
    """Return the class of all figures: those of matplotlib, which without pyplot would not show in a notebook."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return figure_bytes(self, "png", _DPI_OF_NOTEBOOKS)

    return ShownFigure


@contextmanager
def new_panels(number: int, columns: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield a figure of equal panels, beside each other or one below the other, for wide or narrow pages."""
    rows = -(-number // columns)
    width, height = (8.2, 2.95 * rows) if columns > 1 else (4.1, 2.5 * rows + 0.3)
    with new_figure(width, height) as figure:
        yield figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def figure_bytes(figure: Figure, kind: str, dpi: int = _DPI) -> bytes:
    """Return the figure as the bytes of a "png", "svg" or "pdf" file; the same figure gives the same bytes."""
    import matplotlib

    # A date would make every file different.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure in the format of the file's suffix; the file appears complete or not at all."""
    check_figure_path(path)
    with written_whole(path) as partial:
        partial.write_bytes(figure_bytes(figure, path.suffix.lower().removeprefix(".")))
