"""`python -m apnet_fast.demo`: do the main job on simulated files, from nothing to catalogues."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.files import check_output_folder
from apnet_fast.support.notices import tell

app = typer.Typer(add_completion=False)

_LAYOUTS = ("legacy", "dr17", "sdss5")
_STARS, _VISITS, _SNR = 64, 1, 100.0
_SHOWN = 4  # stars of each tree in the table; the figure shows all


@app.command("demo")
@with_common_options
def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything.")] = Path("demo"),
) -> None:
    """Simulate apStar files of all three generations, reprocess them with the demo weights, and show the result."""
    from apnet_fast.catalog.names import PRODUCT_NAMES, RUN_FILE
    from apnet_fast.pipeline.run import run_survey
    from apnet_fast.simulate import simulate_tree
    from apnet_fast.simulate.tree import TRUTH_FILE
    from apnet_fast.validate.recovery import catalogue_recovery, recovery_lines

    check_output_folder(output)
    trees = [output / "apstar" / layout for layout in _LAYOUTS]
    for seed, tree in enumerate(trees):
        _say(
            f"python -m apnet_fast.simulate --stars {_STARS} --visits {_VISITS} --snr {_SNR:.0f} --seed {seed}"
            f" --layout {tree.name} --output {tree}"
        )
        if not (tree / TRUTH_FILE).exists():
            simulate_tree(tree, stars=_STARS, layout=tree.name, visits=_VISITS, snr=_SNR, seed=seed)

    catalogues = output / "catalogues"
    _say(f"python -m apnet_fast.reprocess {output / 'apstar'} --weights demo --device cpu --output {catalogues}")
    run_survey(output / "apstar", weights="demo", output=catalogues, device="cpu")
    stars = catalogues / f"{PRODUCT_NAMES['star']}.parquet"
    _show(stars)
    truths = [tree / TRUTH_FILE for tree in trees]
    _say(f"python -m apnet_fast.recovery {stars} " + " ".join(f"--labels {truth}" for truth in truths))
    for line in recovery_lines(catalogue_recovery(stars, truths)):
        typer.echo(line)
    _draw(stars, output / "kiel.png")
    tell("The demo weights are for simulated spectra only: of real stars they say nothing.")
    for name in PRODUCT_NAMES.values():
        tell(f"{catalogues / name}.fits (and .parquet)")
    tell(f"{catalogues / RUN_FILE}")


def _draw(catalogue: Path, figure: Path) -> None:
    """Draw the Kiel diagram, if matplotlib is installed."""
    from importlib.util import find_spec

    from apnet_fast.plots.figures import save_figure
    from apnet_fast.plots.kiel import draw_kiel, read_stars

    _say(f"python -m apnet_fast.plots kiel {catalogue} --output {figure}")
    if find_spec("matplotlib") is None:
        tell("no figure: matplotlib is not installed (python -m pip install 'apnet_fast[plots]')")
        return
    save_figure(draw_kiel(read_stars(catalogue), style="points", title="demo weights, simulated spectra"), figure)
    tell(f"{figure}: main sequence and giant branch of {len(_LAYOUTS) * _STARS} simulated stars")


def _say(command: str) -> None:
    tell(f"$ {command}")


def _show(path: Path) -> None:
    """Show some stars of each tree in a table."""
    import pyarrow.parquet as pq
    from rich.console import Console
    from rich.table import Table

    table = Table("obj", "release", "telescope", "snr", "teff [K]", "logg", "[Fe/H]", "flags", title=path.stem)
    shown: Counter[str] = Counter()
    for row in pq.read_table(path).to_pylist():
        shown[row["release"]] += 1
        if shown[row["release"]] > _SHOWN:
            continue
        table.add_row(
            row["obj"],
            row["release"],
            row["telescope"],
            f"{row['snr']:.0f}",
            f"{row['teff']:.0f} ± {row['e_teff']:.0f}",
            f"{row['logg']:.2f} ± {row['e_logg']:.2f}",
            f"{row['fe_h']:+.2f} ± {row['e_fe_h']:.2f}",
            str(row["result_flags"]),
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    run_app(app)
