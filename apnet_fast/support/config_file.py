"""Read a configuration file: TOML whose keys are the options and arguments of a verb."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from apnet_fast.support.errors import UsageError
from apnet_fast.support.regular_files import MEBIBYTE, regular_text

_MOST_BYTES = 16 * MEBIBYTE
# Options that mean nothing in a file.
_NOT_IN_A_FILE = {"config", "help", "version", "install_completion"}
# What typer's and click's names of types contain, in words.
_KINDS = {"int": "an integer", "float": "a number", "path": "a path in quotes"}


def read_config(path: Path, parameters: Iterable[Any], context: Any = None) -> dict[str, Any]:
    """Return the values of a configuration file by the names of a command's parameters (click's).

    context: click's, of the command line.

    A key is an option's long name, with - or _, or an argument's name, such as inputs. An option that may be repeated
    takes a list. Relative paths start at the current folder, as on the command line. Raises UsageError for a file that
    cannot be read, a key that is not an option of the command, and a value that the option cannot take: true and false
    are for flags, and flags take nothing else.
    """
    known = _known(parameters)
    values = {}
    for key, value in _content(path).items():
        parameter = known.get(key.replace("-", "_"))
        if parameter is None:
            raise UsageError(
                "the configuration file has a key that is not an option of this command",
                got=repr(key),
                expected=", ".join(sorted(known)),
                remedy="correct the name, or leave it out",
                where=str(path),
            )
        values[parameter.name] = _value(key, value, parameter, str(path), context)
    return values


def _known(parameters: Iterable[Any]) -> dict[str, Any]:
    known = {}
    for parameter in parameters:
        if parameter.name in _NOT_IN_A_FILE:
            continue
        options = [option for option in parameter.opts if option.startswith("--")]
        for name in options or [parameter.name]:
            known[name.removeprefix("--").replace("-", "_")] = parameter
    return known


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(regular_text(path, _MOST_BYTES))
    except OSError as error:
        raise UsageError(
            f"cannot read the configuration file: {error.strerror}",
            got=str(path),
            expected="a TOML file",
            remedy="check the path of --config",
        ) from error
    except ValueError as error:  # TOMLDecodeError, or no UTF-8
        raise UsageError(
            f"the configuration file is not TOML: {error}",
            expected='lines such as draws = 20 and weights = "FILE"',
            remedy="text stands in quotes, true and false in lower case",
            where=str(path),
        ) from error


def _value(key: str, value: Any, parameter: Any, where: str, context: Any) -> Any:
    several = getattr(parameter, "multiple", False) or parameter.nargs != 1
    values = value if several and isinstance(value, list) else [value]
    simple = all(isinstance(each, str | int | float) for each in values)
    flag = bool(getattr(parameter, "is_flag", False))
    fits = simple and all(isinstance(each, bool) is flag for each in values)
    if fits and not flag:
        # A wrong value would otherwise be blamed on the command line.
        try:
            parameter.process_value(context, values if several else value)
        except typer.BadParameter:
            fits = False
    if not fits:
        raise UsageError(
            f"the configuration file has a value that {key} cannot take",
            got=repr(value) if simple else type(value).__name__,
            expected=_kind(parameter) + (", or a list of such" if several else ""),
            where=where,
        )
    return values if several else value


def _kind(parameter: Any) -> str:
    """Return in words what a parameter takes. Typer has its own types since it no longer builds on click."""
    if getattr(parameter, "is_flag", False):
        return "true or false, without quotes"
    limits = getattr(parameter, "type", parameter)
    name = parameter.type.name if hasattr(parameter, "type") else parameter.bare_type()
    words = next((words for part, words in _KINDS.items() if part in name.lower()), "text")
    least = getattr(limits, "min", None)
    return words if least is None else f"{words} of at least {least}"
