"""`python -m apnet_fast.simulate`: write a tree of simulated apStar files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.simulate.tree import TRUTH_FILE, simulate_tree
from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.files import check_output_folder
from apnet_fast.support.notices import tell

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Write a tree of simulated apStar files and its truth table.",
)


@app.command("simulate")
@with_common_options
def simulate_command(
    stars: Annotated[int, typer.Option(help="Number of stars.")],
    layout: Annotated[str, typer.Option(metavar="legacy|dr17|sdss5", help="Generation of files to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    visits: Annotated[int | None, typer.Option(help="Number of visits per star; default: as in the survey.")] = None,
    snr: Annotated[float | None, typer.Option(help="S/N per pixel of each coadd; default: as in the survey.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers; the same seed gives the same bytes.")] = 0,
    edge_cases: Annotated[
        bool, typer.Option("--edge-cases", help="Add one file for each way in which a file can be unusual or broken.")
    ] = False,
) -> None:
    """Write simulated apStar files in the layout's tree, and truth.parquet with their true labels.

    Exit codes: 0 done, 2 usage, 4 stopped: the same command begins anew.
    """
    check_output_folder(output)
    tree = simulate_tree(output, stars=stars, layout=layout, visits=visits, snr=snr, seed=seed, edge_cases=edge_cases)
    extra = " and the edge cases" if edge_cases else ""
    tell(f"{tree}: {stars} stars{extra}, layout {layout}; labels in {tree / TRUTH_FILE}")


if __name__ == "__main__":
    run_app(app)
