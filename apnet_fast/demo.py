"""`python -m apnet_fast.demo`: the main job on simulated files, from nothing to catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.console import run_app

app = typer.Typer(add_completion=False)

_LAYOUTS = ("legacy", "dr17", "sdss5")
_STARS, _VISITS = 4, 2


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything.")] = Path("demo"),
) -> None:
    """Simulate apStar files of all three generations, make random weights, reprocess, and show the result."""
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.pipeline.arguments import RunArguments, default_shard_size
    from apnet_fast.pipeline.run import PRODUCT_NAMES, RUN_FILE, run
    from apnet_fast.simulate import simulate_tree
    from apnet_fast.simulate.tree import TRUTH_FILE

    trees = [output / "apstar" / layout for layout in _LAYOUTS]
    for seed, tree in enumerate(trees):
        _say(
            f"python -m apnet_fast.simulate --stars {_STARS} --visits {_VISITS} --seed {seed}"
            f" --layout {tree.name} --output {tree}"
        )
        if not (tree / TRUTH_FILE).exists():
            simulate_tree(tree, stars=_STARS, layout=tree.name, visits=_VISITS, seed=seed)

    weights = output / "random.safetensors"
    _say(f"python -m apnet_fast.weights random --network v3 --seed 0 --output {weights}")
    if not weights.exists():
        random_checkpoint(seed=0).save(weights)

    catalogues = output / "catalogues"
    _say(f"python -m apnet_fast.reprocess {output / 'apstar'} --weights {weights} --output {catalogues}")
    run(
        RunArguments(
            inputs=(str(output / "apstar"),),
            weights=weights,
            output=catalogues,
            engine="cpu",
            device="cpu",
            recipe="dr19",
            draws=20,
            seed=0,
            precision="fp32",
            spectra="both",
            readers=0,
            batch_size=64,
            shard_size=default_shard_size("cpu"),
            max_failures=None,
            restart=False,
        )
    )
    _show(catalogues / f"{PRODUCT_NAMES['star']}.parquet")
    typer.echo("Random weights: the system is real, the labels mean nothing.")
    for name in PRODUCT_NAMES.values():
        typer.echo(f"{catalogues / name}.fits (and .parquet)")
    typer.echo(f"{catalogues / RUN_FILE}")


def _say(command: str) -> None:
    typer.echo(f"$ {command}")


def _show(path: Path) -> None:
    """A short table of the star catalogue."""
    import pyarrow.parquet as pq
    from rich.console import Console
    from rich.table import Table

    table = Table("obj", "release", "telescope", "snr", "teff [K]", "logg", "[Fe/H]", "flags", title=path.stem)
    for row in pq.read_table(path).to_pylist():
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
