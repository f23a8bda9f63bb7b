"""`python -m apnet_fast.validate`: test errors on repeated visits, or compare two catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from apnet_fast.support.common_options import group_of_verbs, with_common_options
from apnet_fast.support.console import run_app

app = group_of_verbs("Check the errors of a catalogue, or compare two catalogues.")

EXIT_OFF = 1

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")]


@app.command("repeats")
@with_common_options
def repeats_command(
    catalogue: Annotated[Path, typer.Argument(help="A visit catalogue: FITS or Parquet.")],
    keep: Annotated[str, typer.Option(help="clean (result_flags = 0) | not-bad (flag_bad not set) | all")] = "clean",
    percentiles: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Keep spectra with every label between these percentiles (Astra's script: 5 95).",
            show_default="no cut",
        ),
    ] = None,
    star_column: Annotated[
        str | None,
        typer.Option(help="Column that identifies the star.", show_default="source_pk, sdss_id or obj: the best known"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Exit with 1 if published errors are off by more than this factor.")
    ] = 1.25,
    bootstrap: Annotated[int, typer.Option(help="Number of bootstrap replicates (stars are resampled).")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    figure: Annotated[Path | None, typer.Option(help="Draw the z-scores to this file (.png, .svg, .pdf).")] = None,
    json_file: JsonFile = None,
) -> None:
    """Test errors on all pairs of visits of the same star, and fit the noise model e = scale raw_e + offset.

    Each pair of a star with n visits has weight 2 / n. If rows share an identity, only the first selected one is used.
    Errors are "off" if the ratio of fitted to published error, at the 16th, 50th or 84th percentile of the raw error,
    exceeds --tolerance (or falls below its inverse) by more than three standard errors. With fewer than 30 stars there
    is no verdict. Exit codes: 0 within the tolerance or no verdict, 1 off, 2 usage, 70 a fault of this program.
    """
    from apnet_fast.support.errors import UsageError
    from apnet_fast.validate.pairs import Selection
    from apnet_fast.validate.repeats import validate_repeats

    if not tolerance >= 1:
        raise UsageError("--tolerance is a factor", got=tolerance, expected="at least 1, such as 1.25")
    if figure is not None:
        from apnet_fast.plots.figures import check_figure_path

        check_figure_path(figure)
    _check_json(json_file)
    report = validate_repeats(
        catalogue,
        Selection(keep, percentiles, star_column),  # type: ignore[arg-type]
        bootstrap=bootstrap,
        seed=seed,
    )
    typer.echo(report.text())
    off = report.off_by_more_than(tolerance)
    _write_json(json_file, {**report.as_dict(), "tolerance": tolerance, "off": off, "not_judged": report.not_judged})
    if figure is not None:
        from apnet_fast.plots.figures import save_figure
        from apnet_fast.validate.zscores import draw_z_scores

        save_figure(draw_z_scores(report), figure)
    if off:
        typer.echo(f"\npublished errors of {', '.join(off)} are off by more than a factor {tolerance:g}")
        raise SystemExit(EXIT_OFF)
    if len(report.not_judged) < len(report.labels):
        typer.echo(f"\nno published error is off by more than a factor {tolerance:g} beyond three standard errors")


@app.command("compare")
@with_common_options
def compare_command(
    a: Annotated[Path, typer.Argument(help="A catalogue: FITS or Parquet.")],
    b: Annotated[Path, typer.Argument(help="Another catalogue of the same spectra.")],
    on: Annotated[
        str | None,
        typer.Option(
            help="Columns that identify a spectrum, separated by commas.",
            show_default="identity, else obj,telescope,field[,mjd,fiber]",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Exit with 1 if too many labels differ by more than this many sigma.", show_default="none"),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of common rows allowed beyond --tolerance.")
    ] = 0.001,
    same_rows: Annotated[
        bool, typer.Option("--same-rows", help="Exit with 1 if a row is in one catalogue only.")
    ] = False,
    outliers: Annotated[int, typer.Option(min=0, help="How many of the largest differences to list.")] = 10,
    json_file: JsonFile = None,
) -> None:
    """Compare two catalogues row by row: bias, scatter, outliers, NaN, flags, rows in one only.

    Sigma is the root mean square of the two e_ columns. A label that only one catalogue has counts as beyond any
    tolerance. Exit codes: 0 alike, or no tolerance given; 1 not alike; 2 usage; 70 a fault of this program.
    """
    from apnet_fast.support.errors import UsageError
    from apnet_fast.validate.compare import compare_catalogues

    if tolerance is not None and not tolerance >= 0:
        raise UsageError("--tolerance is a number of sigma", got=tolerance, expected="0 or more")
    _check_json(json_file)
    comparison = compare_catalogues(a, b, on=on.split(",") if on else (), tolerance=tolerance, outliers=outliers)
    typer.echo(comparison.text())
    _write_json(json_file, comparison.as_dict())
    failed = []
    if tolerance is not None and comparison.share_beyond > share:
        failed.append(
            f"{100 * comparison.share_beyond:.3g} % of the rows differ by more than {tolerance:g} sigma,"
            f" {100 * share:.3g} % may"
        )
    if same_rows and comparison.only_a + comparison.only_b + comparison.ambiguous:
        failed.append("the catalogues do not hold the same rows")
    if failed:
        typer.echo(f"\nnot alike: {'; '.join(failed)}")
        raise SystemExit(EXIT_OFF)


def _check_json(path: Path | None) -> None:
    if path is not None:
        from apnet_fast.support.files import check_folder_of

        check_folder_of(path)


def _write_json(path: Path | None, value: dict[str, Any]) -> None:
    if path is not None:
        from apnet_fast.support.files import write_json

        write_json(path, value)


if __name__ == "__main__":
    run_app(app)
