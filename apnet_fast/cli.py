"""The console script `apnet-fast VERB`: the same as `python -m apnet_fast.VERB`."""

from __future__ import annotations

from typing import Annotated

import typer

from apnet_fast import demo, documents, flags, pack, recovery, reprocess, tune, weights
from apnet_fast.doctor.__main__ import doctor_command
from apnet_fast.plots.__main__ import app as plots_app
from apnet_fast.predict.__main__ import predict_command
from apnet_fast.report.__main__ import report_command
from apnet_fast.simulate.__main__ import simulate_command
from apnet_fast.support.common_options import PROGRAM, print_version
from apnet_fast.support.console import run_app
from apnet_fast.train.__main__ import train_command
from apnet_fast.validate.__main__ import app as validate_app

app = typer.Typer(no_args_is_help=True, help="ApogeeNet over the whole APOGEE survey.")
app.command("reprocess")(reprocess.reprocess_command)
app.command("predict")(predict_command)
app.command("pack")(pack.pack_command)
app.add_typer(weights.app, name="weights")
app.add_typer(validate_app, name="validate")
app.add_typer(plots_app, name="plots")
app.command("simulate")(simulate_command)
app.command("train")(train_command)
app.command("recovery")(recovery.recovery_command)
app.command("demo")(demo.demo_command)
app.command("tune")(tune.tune_command)
app.command("report")(report_command)
app.command("flags")(flags.flags_command)
app.command("doctor")(doctor_command)
app.add_typer(documents.app, name="documents")


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """ApogeeNet over the whole APOGEE survey."""


def main() -> None:
    """Entry point of the console script."""
    run_app(app, program=PROGRAM)
