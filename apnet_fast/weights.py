"""Import, export, make and check weights files: `python -m apnet_fast.weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import group_of_verbs, with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.files import check_folder_of, check_output_folder
from apnet_fast.support.notices import tell

app = group_of_verbs("Import, export and make weights files (safetensors).")

Network = Annotated[str, typer.Option(help="v3 | v2 | v1")]
Weights = Annotated[
    str | None,
    typer.Argument(
        help="A weights file of this package, or demo.", show_default="APNET_FAST_WEIGHTS, else Astra's in MWM_ASTRA"
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]


@app.command("import")
@with_common_options
def import_command(
    path: Annotated[Path, typer.Argument(help="Upstream file (.pt), or its folder (v3: model_chunk_0..9).")],
    output: Output,
    network: Network = "v3",
) -> None:
    """Turn an upstream checkpoint into a checked safetensors file."""
    from apnet_fast.networks.upstream import import_upstream

    check_folder_of(output, made=True)
    checkpoint = import_upstream(path, network)
    checkpoint.save(output)
    tell(f"{output}: ApogeeNet {network}, {len(checkpoint.state)} tensors, from {checkpoint.origin}")
    if checkpoint.left_out:
        tell(f"left out, not part of this network: {', '.join(checkpoint.left_out)}")


@app.command("random")
@with_common_options
def random_command(
    output: Output,
    network: Network = "v3",
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 0,
) -> None:
    """Write well-scaled random weights, for trying things out."""
    from apnet_fast.networks.random import random_checkpoint

    check_folder_of(output, made=True)
    random_checkpoint(seed, network=network).save(output)
    tell(f"{output}: ApogeeNet {network}, random weights, seed {seed}: not for science")


@app.command("export")
@with_common_options
def export_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    weights: Weights = None,
) -> None:
    """Write a weights file back in the upstream form: v3 as chunks, v2 as model.pt, v1 as APOGEE_NET.pt."""
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.default_weights import find_weights
    from apnet_fast.networks.upstream import export_upstream

    check_output_folder(output)
    names = export_upstream(load_checkpoint(find_weights(weights)), output)
    tell(f"{output}: {', '.join(names)}")


@app.command("check")
@with_common_options
def check_command(
    weights: Weights = None,
) -> None:
    """Print the largest activation of every layer, and for v3 whether fp16 can hold it."""
    from apnet_fast.engines.ranges import LEAST_HEADROOM, layer_ranges
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.default_weights import find_weights
    from apnet_fast.recipes.flux import FLUX_UNIT

    path = find_weights(weights)
    checkpoint = load_checkpoint(path)
    typer.echo(f"{weights or path}: ApogeeNet {checkpoint.network}, {checkpoint.origin}, sha256 {checkpoint.sha256}")
    least_flux, greatest_flux = checkpoint.plausible_flux
    typer.echo(f"for spectra with a median flux of {least_flux:.3g} to {greatest_flux:.3g} [{FLUX_UNIT}]")
    if checkpoint.for_simulated_only:
        typer.echo("for simulated spectra only: on real stars their labels mean nothing")
    typer.echo(f"{'layer':36} {'largest':>10} {'65504 / it':>10}")
    ranges = layer_ranges(checkpoint)
    for layer in ranges:
        typer.echo(f"{layer.layer:36} {layer.largest:10.3g} {layer.headroom:10.3g}")
    if checkpoint.network != "v3":
        typer.echo(f"ApogeeNet {checkpoint.network} is computed in fp32")
        return
    least = min(layer.headroom for layer in ranges)
    verdict = "fp16 holds them" if least >= LEAST_HEADROOM else "too close: engines will compute in fp32"
    typer.echo(f"least headroom {least:.3g}, at least {LEAST_HEADROOM:.0f} wanted: {verdict}")


if __name__ == "__main__":
    run_app(app)
