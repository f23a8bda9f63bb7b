"""`python -m apnet_fast.predict`: labels of the spectra of a few files, now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import EXIT_QUARANTINED, run_app
from apnet_fast.support.variables import DEVICE, SAS, value_of

if TYPE_CHECKING:
    from apnet_fast.api import ApogeeNet
    from apnet_fast.predict.columns import Value
    from apnet_fast.predict.stars import Found
    from apnet_fast.spectra.batch import Product

app = typer.Typer(add_completion=False)


@app.command("predict")
@with_common_options
def predict_command(
    inputs: Annotated[list[str], typer.Argument(metavar="FILE...", help="apStar files; anything reprocess takes.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights file (.safetensors), or demo.",
            show_default="APNET_FAST_WEIGHTS, else Astra's below MWM_ASTRA",
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option("--format", help="table | csv | ecsv | json", show_default="table on a terminal, else csv"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .csv, .ecsv or .json.", show_default="stdout")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Figure of one spectrum to write: .png, .svg or .pdf (needs matplotlib)."),
    ] = None,
    plot_number: Annotated[
        int | None,
        typer.Option("--number", help="Number (#) of the spectrum of --plot.", show_default="the first with labels"),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="As in reprocess.", show_default="APNET_FAST_RECIPE, else the network's first")
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="Noise realisations of each spectrum.", show_default="the recipe's")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    spectra: Annotated[str, typer.Option(help="star (coadds) | visit | both")] = "both",
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, or a GPU such as cuda:0, which takes longer to start.",
            show_default="APNET_FAST_DEVICE, else cpu",
        ),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Table with parallax and magnitudes, which ApogeeNet v2 uses.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder that holds dr17/, sdsswork/, ... for tables.", show_default="SAS_BASE_DIR"),
    ] = None,
) -> None:
    """Print labels, errors, S/N and flags of the spectra of a few files.

    They are those of `reprocess` with the same weights, recipe, draws, seed and device. Exit codes: 0 done, 2 usage,
    3 done with spectra that could not be used.
    """
    # Imported here, so that --help is quick.
    from apnet_fast.api import ApogeeNet
    from apnet_fast.catalog.sources import SourceTable
    from apnet_fast.inputs.words import resolve_inputs
    from apnet_fast.predict.stars import predict_files
    from apnet_fast.support.notices import say

    chosen = _format(output_format, output)
    if plot is not None:
        from apnet_fast.plots.figures import check_figure_path

        check_figure_path(plot)
    products = _products(spectra)
    files = resolve_inputs(inputs, value_of(SAS) if root is None else str(root))
    net = ApogeeNet.load(weights, recipe=recipe, device=device or value_of(DEVICE) or "cpu")
    found = predict_files(
        net,
        files.files,
        products=products,
        draws=draws,
        seed=seed,
        catalog=None if catalog is None else SourceTable.load(catalog),
        show=plot_number,
    )
    for note in (*files.notes, *_warnings(net, found)):
        say(note)
    _write(net, found, chosen, output, draws=draws, seed=seed)
    if plot is not None:
        _plot(net, found, plot, draws=draws, seed=seed)
    if not all(result.has_result for result in found.results):
        raise SystemExit(EXIT_QUARANTINED)


def _products(word: str) -> tuple[Product, ...]:
    from apnet_fast.support.errors import UsageError

    products: dict[str, tuple[Product, ...]] = {"star": ("star",), "visit": ("visit",), "both": ("star", "visit")}
    if word not in products:
        raise UsageError("unknown --spectra", got=repr(word), expected=" | ".join(products))
    return products[word]


def _format(wanted: str | None, output: Path | None) -> str:
    """Return the format to write: the one asked for, else by the file's suffix, else as stdout is a terminal."""
    from apnet_fast.predict.formats import FORMATS
    from apnet_fast.support.errors import UsageError
    from apnet_fast.support.files import check_folder_of

    known = ("table", *FORMATS)
    if output is not None:
        check_folder_of(output)
        wanted = wanted or output.suffix.lower().removeprefix(".")
    if wanted is None:
        return "table" if sys.stdout.isatty() else "csv"
    if wanted not in known:
        raise UsageError(
            "unknown format", got=repr(wanted), expected=" | ".join(known), remedy="--format csv, or -o stars.csv"
        )
    return wanted


def _write(net: ApogeeNet, found: Found, chosen: str, output: Path | None, *, draws: int | None, seed: int) -> None:
    import io

    from apnet_fast.predict.formats import FORMATS
    from apnet_fast.predict.screen import show
    from apnet_fast.support.files import written_whole
    from apnet_fast.support.notices import say

    if chosen == "table" and output is None:
        show(found.results, net.recipe.flag_table, sys.stdout)
        return
    if chosen == "table":
        buffer = io.StringIO()
        show(found.results, net.recipe.flag_table, buffer)
        text = buffer.getvalue()
    else:
        text = FORMATS[chosen](found.results, net.recipe, _about(net, draws, seed))
    if output is None:
        sys.stdout.write(text)
        return
    with written_whole(output) as partial:
        partial.write_text(text, encoding="utf-8")
    say(f"{output}: {len(found.results)} spectra")


def _about(net: ApogeeNet, draws: int | None, seed: int) -> dict[str, Value]:
    """Return what the labels depend on besides the spectra."""
    from apnet_fast._version import __version__

    engine = net.engine
    return {
        "apnet_fast": __version__,
        "network": net.recipe.network,
        "weights": engine.checkpoint.sha256,
        "recipe": net.recipe.name,
        "flag_table": net.recipe.flag_table.name,
        "draws": net.recipe.default_draws if draws is None else draws,
        "seed": seed,
        "engine": engine.name,
        "precision": engine.precision,
    }


def _warnings(net: ApogeeNet, found: Found) -> list[str]:
    """Return what may be wrong with the labels, a line each."""
    checkpoint = net.engine.checkpoint
    lines = [f"warning: {line}" for line in found.counts.messages(net.plausible_flux)]
    real = sum(result.has_result and not result.record.simulated for result in found.results)
    if checkpoint.for_simulated_only and real:
        lines.append(
            f"warning: these weights are for simulated spectra only ({checkpoint.origin}): the labels of {real} real"
            " spectra mean nothing"
        )
    return lines


def _plot(net: ApogeeNet, found: Found, path: Path, *, draws: int | None, seed: int) -> None:
    from apnet_fast.plots.figures import save_figure
    from apnet_fast.plots.star import draw_star
    from apnet_fast.predict.picture import star_picture
    from apnet_fast.support.notices import say

    if found.shown is None:
        say(f"{path}: no figure, since no spectrum has labels")
        return
    picture = star_picture(net, found.shown, draws=net.recipe.default_draws if draws is None else draws, seed=seed)
    save_figure(draw_star(picture), path)
    say(f"{path}: {picture.name} (# {found.shown.result.number})")


if __name__ == "__main__":
    run_app(app)
