"""The options that every verb has, added to a verb's own by one decorator.

    @app.command("pack")
    @with_common_options
    def pack_command(...): ...

A configuration file holds options of the verb by name; see `config_file`.
"""

from __future__ import annotations

import functools
import inspect
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.completion import install_callback

from apnet_fast._version import __version__
from apnet_fast.support.config_file import read_config
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import Volume, detail, listening

PROGRAM = "apnet-fast"
_PANEL = "Common options"
_DONE_BEFORE = ("config", "version", "install_completion")


def with_common_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a verb that also has --config, --quiet, --verbose, --log, --version and --install-completion."""
    own = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def verb(*words: Any, quiet: bool = False, verbose: bool = False, log: Path | None = None, **options: Any) -> None:
        # What these did is done: they are read before all other options.
        for name in _DONE_BEFORE:
            options.pop(name, None)
        if quiet and verbose:
            raise UsageError("--quiet and --verbose at once", remedy="give one of them")
        volume = Volume.QUIET if quiet else Volume.VERBOSE if verbose else Volume.NORMAL
        with listening(" ".join(sys.argv), volume=volume, log=log):
            detail(f"apnet_fast {__version__}, Python {platform.python_version()}, on {platform.node()}")
            started = time.monotonic()
            function(*words, **options)
            detail(f"took {time.monotonic() - started:.1f} s")

    common = inspect.signature(_common, eval_str=True).parameters
    parameters = [*own.parameters.values(), *common.values()]
    verb.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    # Typer keeps line breaks, wherever the terminal's lines end.
    verb.__doc__ = "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(function) or "").split("\n\n"))
    verb.__annotations__ = {each.name: each.annotation for each in parameters}
    return verb


def common_option_names() -> tuple[str, ...]:
    """Return the names of the parameters that every verb has."""
    return tuple(inspect.signature(_common).parameters)


def print_version(wanted: bool) -> None:
    """Print the version and end, if it is wanted."""
    if wanted:
        typer.echo(f"apnet_fast {__version__}")
        raise typer.Exit


def _install_completion(context: typer.Context, parameter: typer.CallbackParam, wanted: bool) -> None:
    """Install completion of the console script: shells cannot complete `python -m`."""
    if wanted:
        context.find_root().info_name = PROGRAM
        install_callback(context, parameter, wanted)


_Version = Annotated[
    bool,
    typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.", rich_help_panel=_PANEL),
]
_InstallCompletion = Annotated[
    bool,
    typer.Option(
        "--install-completion",
        callback=_install_completion,
        is_eager=True,
        help=f"Install completion of `{PROGRAM}` for this shell.",
        rich_help_panel=_PANEL,
    ),
]


def group_of_verbs(about: str) -> typer.Typer:
    """Return an application for verbs of two words, such as `weights import`: its first word has options too.

    about: its help text. Of the common options it has those that are no verb's: --version and --install-completion.
    """
    group = typer.Typer(add_completion=False, no_args_is_help=True, help=about)

    @group.callback()
    def options(version: _Version = False, install_completion: _InstallCompletion = False) -> None:
        """Do nothing: both options are done when they are read."""

    return group


def _take_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values of a configuration file the defaults of all other options."""
    if path is not None and not context.resilient_parsing:
        context.default_map = {**(context.default_map or {}), **read_config(path, context.command.params, context)}
    return path


def _common(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.toml",
            callback=_take_config,
            is_eager=True,
            help="File with values for any options, such as draws = 20; the command line comes first.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.", rich_help_panel=_PANEL)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say more: versions, times, every stored shard.", rich_help_panel=_PANEL),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append to this file all that is said, with times.", rich_help_panel=_PANEL),
    ] = None,
    version: _Version = False,
    install_completion: _InstallCompletion = False,
) -> None:
    """Declare the common options; only the signature is used."""
