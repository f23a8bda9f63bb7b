"""`python -m apnet_fast.weights`: import, export and make weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.console import run_app

app = typer.Typer(no_args_is_help=True, help="Import, export and make weights files (safetensors).")

Network = Annotated[str, typer.Option(help="v3")]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Upstream folder (model_chunk_0..9, model_args.yaml) or model.pt.")],
    output: Output,
    network: Network = "v3",
) -> None:
    """Turn an upstream checkpoint into a checked safetensors file."""
    from apnet_fast.networks.upstream import import_upstream

    checkpoint = import_upstream(path, network)
    checkpoint.save(output)
    typer.echo(f"{output}: ApogeeNet {network}, {len(checkpoint.state)} tensors, from {checkpoint.origin}")
    if checkpoint.left_out:
        typer.echo(f"left out, not part of this network: {', '.join(checkpoint.left_out)}")


@app.command()
def random(
    output: Output,
    network: Network = "v3",
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 0,
) -> None:
    """Write well-scaled random weights, for trying things out."""
    from apnet_fast.errors import UsageError
    from apnet_fast.networks.random import random_checkpoint

    if network != "v3":
        raise UsageError("unknown network", got=repr(network), expected="'v3'", remedy="--network v3")
    random_checkpoint(seed).save(output)
    typer.echo(f"{output}: ApogeeNet {network}, random weights, seed {seed}: not for science")


@app.command()
def export(
    weights: Annotated[Path, typer.Argument(help="A weights file of this package.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
) -> None:
    """Write a weights file back as the upstream folder of chunks."""
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.upstream import export_upstream

    export_upstream(load_checkpoint(weights), output)
    typer.echo(f"{output}: model_chunk_0..9, model_args.yaml")


if __name__ == "__main__":
    run_app(app)
