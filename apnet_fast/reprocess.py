"""`python -m apnet_fast.reprocess`: apStar files in, the two ApogeeNet catalogues out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import EXIT_QUARANTINED, run_app

if TYPE_CHECKING:
    from apnet_fast.pipeline.arguments import RunArguments
    from apnet_fast.pipeline.summary import RunSummary

app = typer.Typer(add_completion=False)


@app.command("reprocess")
@with_common_options
def reprocess_command(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="apStar/asStar, mwmStar/mwmVisit files, folders (walked), packs, @list.txt (one file per line),"
            " summary tables (allStar, mwmAllStar, ...; with --root).",
            show_default="the newest mwmAllStar or allStar below SAS_BASE_DIR",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights file (.safetensors), or demo.", show_default="APNET_FAST_WEIGHTS, else Astra's in MWM_ASTRA"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for catalogues and shards.",
            show_default="apnet_fast-VERSION-RECIPE in MWM_ASTRA, else here",
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="Table (allStar, mwmAllStar, ...; FITS or Parquet) that fills source columns; without INPUT, the files"
            " of its rows are the input."
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder that holds dr17/, sdsswork/, ... for tables.", show_default="SAS_BASE_DIR"),
    ] = None,
    gpus: Annotated[str | None, typer.Option(help="Numbers of GPUs, such as 0,1. Default: all, else the CPU.")] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, to leave GPUs alone; cpu,cpu for two workers.", show_default="APNET_FAST_DEVICE"),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto | triton (v3) | torch (v2, v1) | cpu | reference (slow, plain) | null (no labels)")
    ] = "auto",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="v3: dr19 | astra-0.6 | bossnet-2 (dr19+medians, bossnet-2+medians: with the draws' medians);"
            " v2: astra-0.6 | dr19 | apogeenet-2; v1: astra-2020",
            show_default="APNET_FAST_RECIPE, else the network's first",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(help="Noise realisations of each spectrum.", show_default="20 for v3, 100 for v2 and v1"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    precision: Annotated[
        str | None, typer.Option(help="fp16 | fp32 (| fp64, reference only).", show_default="fp16 on GPUs, else fp32")
    ] = None,
    spectra: Annotated[str, typer.Option(help="star | visit | both")] = "both",
    readers: Annotated[
        int | None,
        typer.Option(help="Processes that read ahead, for each device; 0: none.", show_default="by device and cores"),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads of the CPU engine, all workers together.",
            show_default="OMP_NUM_THREADS, or every core",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Spectra given to the engine at once.")] = 64,
    shard_size: Annotated[
        int | None, typer.Option(help="Files of one restartable piece.", show_default="by engine")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(help="Stop (exit 4) when more spectra than this have no result.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Discard what the output folder holds.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be read, computed and written, and how long; write nothing."),
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="srun|ADDRESS|FILE.json",
            help="Compute on a Dask cluster: one of its own inside this Slurm job (srun), or one that runs.",
        ),
    ] = None,
    cluster_resources: Annotated[
        str | None, typer.Option(help="What a shard takes of a Dask worker, such as GPU=1.")
    ] = None,
    cluster_timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for a worker.")] = 600.0,
    mix_instruction_sets: Annotated[
        bool,
        typer.Option(
            "--mix-instruction-sets", help="Let different processors compute shards of one run; run.json says which."
        ),
    ] = False,
) -> None:
    """Run ApogeeNet over apStar files and write the star and visit catalogues.

    In SDSS's environment (SAS_BASE_DIR, MWM_ASTRA) it needs no options: docs/commands.md lists what it finds there.
    Give the same command again after any interruption and it goes on. Exit codes: 0 done, 2 usage, 3 done with
    spectra that could not be used (see quarantine.parquet), 4 stopped but resumable.
    """
    # Imported here: --help, and the reader processes that import this module, do not need torch.
    from apnet_fast.pipeline.defaults import complete_arguments
    from apnet_fast.pipeline.run import run

    gpus, device = _of_the_command_line(context, gpus, device)
    asked = partial(
        complete_arguments,
        inputs=inputs or None,
        weights=weights,
        output=output,
        catalog=catalog,
        root=root,
        gpus=gpus,
        device=device,
        engine=engine,
        recipe=recipe,
        draws=draws,
        seed=seed,
        precision=precision,
        spectra=spectra,
        readers=readers,
        threads=threads,
        batch_size=batch_size,
        shard_size=shard_size,
        mix_instructions=mix_instruction_sets,
        max_failures=max_failures,
        restart=restart,
    )
    if dry_run:
        _say_forecast(asked, cluster)
        return
    team = None
    if cluster is not None:
        from apnet_fast.cluster.options import team_of

        team = team_of(cluster, cluster_resources, cluster_timeout)
    arguments = asked(on_this_machine=team is None)
    summary = run(arguments, team)
    _say_summary(summary, arguments.output)
    if summary.failures:
        raise SystemExit(EXIT_QUARANTINED)


def _of_the_command_line(context: typer.Context, gpus: str | None, device: str | None) -> tuple[str | None, str | None]:
    """Return --gpus and --device without the one that a configuration file gives beside the other on the command line.

    They exclude each other, and the command line comes first.
    """
    sources = [getattr(context.get_parameter_source(name), "name", "") for name in ("gpus", "device")]
    if sources == ["DEFAULT_MAP", "COMMANDLINE"]:
        return None, device
    if sources == ["COMMANDLINE", "DEFAULT_MAP"]:
        return gpus, None
    return gpus, device


def _say_forecast(asked: Callable[..., RunArguments], cluster: str | None) -> None:
    from apnet_fast.pipeline.dry_run import forecast
    from apnet_fast.pipeline.settings import resolve_settings
    from apnet_fast.support.errors import UsageError

    if cluster is not None:
        raise UsageError(
            "--dry-run and --cluster at once",
            remedy="leave --cluster out: a dry run looks at what this machine would do, and starts no workers",
        )
    # Weights that would have to be imported are, but not into a place that stays.
    with TemporaryDirectory(prefix="apnet_fast-") as folder:
        for line in forecast(resolve_settings(asked(scratch=Path(folder)))).lines():
            typer.echo(line)


def _say_summary(summary: RunSummary, output: Path) -> None:
    from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
    from apnet_fast.support.notices import say, warn

    for product, rows in summary.rows.items():
        say(f"{output / PRODUCT_NAMES[product]}.fits (and .parquet): {rows} rows, in HDU 2")
    if summary.rate is not None:
        say(f"{summary.rate:.2f} spectra/s, everything counted; details in {output / RUN_FILE}")
        say(f"{summary.bound}")
    if summary.matches:
        products = (
            f"{product} " + ", ".join(f"{number} {match}" for match, number in sorted(found.items()))
            for product, found in summary.matches.items()
        )
        say(f"catalog: {'; '.join(products)}")
    if summary.incomplete_photometry:
        say(
            f"{summary.incomplete_photometry} of {summary.results} spectra have no or incomplete photometry;"
            " give --catalog with parallax, G, BP, RP, J, H, K"
        )
    if summary.failures:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(summary.reasons.items()))
        say(f"{summary.failures} spectra without a result ({reasons}): {output / QUARANTINE_FILE}")
    for warning in summary.warnings:
        warn(warning)


if __name__ == "__main__":
    run_app(app)
