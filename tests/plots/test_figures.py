"""Figures leave no state in matplotlib, and the same figure gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.plots.figures import check_figure_path, check_matplotlib, figure_bytes, save_figure
from apnet_fast.plots.kiel import draw_kiel
from apnet_fast.support.errors import UsageError
from tests.plots.samples import stars


def test_the_same_figure_is_the_same_file() -> None:
    assert figure_bytes(draw_kiel(stars()), "svg") == figure_bytes(draw_kiel(stars()), "svg")


def test_notebooks_show_a_figure_by_itself() -> None:
    """A notebook asks what it shows for `_repr_png_`; pyplot is not involved."""
    shown = draw_kiel(stars())._repr_png_()  # type: ignore[attr-defined]
    assert shown.startswith(b"\x89PNG")
    assert shown == figure_bytes(draw_kiel(stars()), "png", 90)
    assert len(shown) < len(figure_bytes(draw_kiel(stars()), "png"))


def test_nothing_is_left_in_pyplot() -> None:
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    draw_kiel(stars())
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apnet_fast.plots.figures.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'apnet_fast\[plots\]'"):
        check_matplotlib()


def test_the_suffix_chooses_the_format(tmp_path: Path) -> None:
    figure = draw_kiel(stars())
    for suffix, magic in ((".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")):
        save_figure(figure, tmp_path / f"k{suffix}")
        assert (tmp_path / f"k{suffix}").read_bytes().startswith(magic)
    with pytest.raises(UsageError, match="unknown kind of figure"):
        check_figure_path(tmp_path / "k.jpg")
    with pytest.raises(UsageError, match="no such folder"):
        check_figure_path(tmp_path / "nowhere" / "k.png")
