"""`python -m apnet_fast.train`: labelled apStar spectra in, a weights file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.variables import DEVICE, RECIPE, value_of

app = typer.Typer(add_completion=False)

_TRAINING, _AUGMENTATION, _COMPUTING = "Training", "Augmentation", "Computing"


@app.command("train")
@with_common_options
def train_command(
    trees: Annotated[
        list[str],
        typer.Option(
            "--tree",
            "--spectra",
            metavar="TREE",
            help="Folder of apStar files, file, @list.txt or pack; may be repeated. --spectra is the same option.",
        ),
    ],
    labels: Annotated[
        list[Path],
        typer.Option(help="Table with teff, logg, fe_h and obj or path (Parquet, FITS, CSV); may be repeated."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write (.safetensors).")],
    network: Annotated[str, typer.Option(help="v3 | v2 | v1")] = "v3",
    model_args: Annotated[
        Path | None,
        typer.Option(help="YAML with the network's sizes, like upstream's model_args.yaml; default: full size."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe to train for.", show_default="APNET_FAST_RECIPE, else the network's")
    ] = None,
    kind: Annotated[str, typer.Option(help="Which spectra of a file: star | visit | both")] = "star",
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME=COLUMN", help="Column of teff, logg, fe_h, obj or path.")
    ] = None,
    origin: Annotated[str, typer.Option(help="A line about the weights, stored in their file.")] = "",
    epochs: Annotated[int, typer.Option(rich_help_panel=_TRAINING)] = 50,
    batch_size: Annotated[int, typer.Option(rich_help_panel=_TRAINING)] = 32,
    learning_rate: Annotated[float, typer.Option(help="At the end of warm-up.", rich_help_panel=_TRAINING)] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="Weight decay of AdamW.", rich_help_panel=_TRAINING)] = 0.01,
    warmup: Annotated[float, typer.Option(help="Share of all steps.", rich_help_panel=_TRAINING)] = 0.05,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient.", rich_help_panel=_TRAINING)] = 1.0,
    ema: Annotated[
        float, typer.Option(help="Decay per step of the averaged weights; 0: no average.", rich_help_panel=_TRAINING)
    ] = 0.998,
    patience: Annotated[
        int, typer.Option(help="Stop after this many epochs without improvement.", rich_help_panel=_TRAINING)
    ] = 10,
    validation: Annotated[float, typer.Option(help="Share of stars held back.", rich_help_panel=_TRAINING)] = 0.1,
    loss_knee: Annotated[
        float,
        typer.Option(help="Smooth L1 turns from square to absolute here, in scatters.", rich_help_panel=_TRAINING),
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.", rich_help_panel=_TRAINING)] = 0,
    noise: Annotated[
        float, typer.Option(help="Largest factor by which errors are added as noise.", rich_help_panel=_AUGMENTATION)
    ] = 1.5,
    drop_segments: Annotated[
        int, typer.Option(help="Largest number of segments dropped per spectrum.", rich_help_panel=_AUGMENTATION)
    ] = 2,
    segment_pixels: Annotated[
        int, typer.Option(help="Length of the longest segment.", rich_help_panel=_AUGMENTATION)
    ] = 200,
    drop_pixels: Annotated[
        float, typer.Option(help="Largest share of single pixels dropped.", rich_help_panel=_AUGMENTATION)
    ] = 0.01,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda:0, ...", show_default="APNET_FAST_DEVICE, else a GPU", rich_help_panel=_COMPUTING),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32 | bf16", show_default="bf16 if it is faster", rich_help_panel=_COMPUTING),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all", rich_help_panel=_COMPUTING)
    ] = None,
    readers: Annotated[int, typer.Option(help="Processes that read files.", rich_help_panel=_COMPUTING)] = 0,
    workers: Annotated[int, typer.Option(help="Threads that make batches.", rich_help_panel=_COMPUTING)] = 1,
    report_spectra: Annotated[
        int, typer.Option(help="Largest number of held-back spectra to report on.", rich_help_panel=_COMPUTING)
    ] = 512,
    report_draws: Annotated[
        int, typer.Option(help="Noise realisations per spectrum of the report.", rich_help_panel=_COMPUTING)
    ] = 5,
    restart: Annotated[bool, typer.Option("--restart", help="Discard earlier training in this output.")] = False,
) -> None:
    """Train a network on labelled apStar spectra, and report how well it recovers stars that it has not seen.

    After an interruption, give the same command again to go on. Exit codes: 0 done, 2 usage, 4 stopped.
    """
    import torch

    from apnet_fast.inputs.label_tables import named_columns
    from apnet_fast.train.augment import Augmentation
    from apnet_fast.train.convolution import default_precision
    from apnet_fast.train.run import train
    from apnet_fast.train.settings import TrainSettings, checked_device

    if threads is not None:
        torch.set_num_threads(threads)
    where = device or value_of(DEVICE) or ("cuda:0" if torch.cuda.is_available() else "cpu")
    settings = TrainSettings(
        trees=tuple(trees),
        labels=tuple(labels),
        output=output,
        columns=named_columns(column or []),
        network=network,
        model_args=_model_args(model_args),
        recipe=recipe or value_of(RECIPE),
        products=kind,
        augmentation=Augmentation(noise, segments=drop_segments, segment_pixels=segment_pixels, pixels=drop_pixels),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup=warmup,
        clip=clip,
        ema=ema,
        patience=patience,
        validation=validation,
        loss_knee=loss_knee,
        seed=seed,
        precision=precision or default_precision(checked_device(where)),
        device=where,
        readers=readers,
        workers=workers,
        report_draws=report_draws,
        report_spectra=report_spectra,
        origin=origin,
    )
    train(settings, restart=restart)


def _model_args(path: Path | None) -> dict[str, Any]:
    import yaml

    from apnet_fast.support.errors import UsageError
    from apnet_fast.support.regular_files import MEBIBYTE, regular_text

    if path is None:
        return {}
    try:
        values = yaml.safe_load(regular_text(path, MEBIBYTE))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"cannot read the model arguments: {error}", where=str(path)) from error
    if not isinstance(values, dict):
        raise UsageError(
            "the model arguments are not a mapping",
            got=type(values).__name__,
            expected="lines such as `linear_dim: 512`",
            where=str(path),
        )
    return values


if __name__ == "__main__":
    run_app(app)
