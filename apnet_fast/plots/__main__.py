"""`python -m apnet_fast.plots`: draw figures of a catalogue or of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import group_of_verbs, with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.notices import tell

app = group_of_verbs("Draw figures of a catalogue (needs matplotlib, the extra `plots`).")


@app.command("kiel")
@with_common_options
def kiel_command(
    catalogue: Annotated[Path, typer.Argument(help="A catalogue: FITS or Parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .png, .svg or .pdf.")],
    style: Annotated[
        str,
        typer.Option(
            help="points | cells (hexagons by median [Fe/H]) | density (by number of stars)"
            " | auto (points, cells beyond 20,000 stars)"
        ),
    ] = "auto",
    log_teff: Annotated[
        bool | None,
        typer.Option("--log-teff/--linear-teff", help="Draw log10 Teff or Teff.", show_default="as the range asks"),
    ] = None,
    isochrone: Annotated[
        list[Path] | None, typer.Option(help="Isochrones as a PARSEC (CMD) table; may be repeated.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the figure.", show_default="none")] = "",
) -> None:
    """Draw Teff against log g, coloured by [Fe/H], with both axes inverted and flagged stars in grey."""
    from apnet_fast.plots.figures import check_figure_path, save_figure
    from apnet_fast.plots.isochrones import read_isochrones
    from apnet_fast.plots.kiel import STYLES, draw_kiel, read_stars
    from apnet_fast.support.errors import UsageError

    check_figure_path(output)
    if style not in STYLES:
        raise UsageError("unknown style", got=repr(style), expected=" | ".join(STYLES))
    lines = [line for path in isochrone or () for line in read_isochrones(path)]
    stars = read_stars(catalogue)
    figure = draw_kiel(stars, style=style, log_teff=log_teff, isochrones=lines, title=title)
    save_figure(figure, output)
    tell(f"{output}: {len(stars)} stars, {int(stars.bad.sum())} of them with flag_bad")


@app.command("curves")
@with_common_options
def curves_command(
    path: Annotated[Path, typer.Argument(metavar="CURVES", help="curves.json of `python -m apnet_fast.train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .png, .svg or .pdf.")],
) -> None:
    """Draw the learning curves of a training: losses and the scatter of each label, by epoch."""
    from apnet_fast.plots.curves import draw_curves, read_curves
    from apnet_fast.plots.figures import check_figure_path, save_figure

    check_figure_path(output)
    epochs = read_curves(path)
    save_figure(draw_curves(epochs), output)
    tell(f"{output}: {len(epochs)} epochs")


if __name__ == "__main__":
    run_app(app)
