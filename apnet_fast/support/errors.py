"""Errors that tell the user what went wrong, what was expected and what to do."""

from __future__ import annotations


class ApnetError(Exception):
    """An error a user can act on.

    The message reads: what happened; got ...; expected ...; remedy; where (path and HDU).
    Nothing in the package raises a bare `Exception`; the command line prints an
    `ApnetError` without a traceback.
    """

    def __init__(
        self,
        what: str,
        *,
        got: object = None,
        expected: object = None,
        remedy: str | None = None,
        where: str | None = None,
    ) -> None:
        parts = [what]
        if got is not None:
            parts.append(f"got {got}")
        if expected is not None:
            parts.append(f"expected {expected}")
        text = "; ".join(parts)
        if where is not None:
            text += f" [{where}]"
        if remedy is not None:
            text += f". Remedy: {remedy}"
        super().__init__(text)


class UsageError(ApnetError):
    """Wrong arguments, weights, or an output folder that belongs to another run: exit code 2."""


class WeightsError(UsageError):
    """A weights file or checkpoint that cannot be used as it is: exit code 2."""


class Stopped(ApnetError):
    """The run stopped before its end and goes on when the same command is given again: exit code 4."""
