"""Errors that name what went wrong, what was expected and what to do."""

from __future__ import annotations


class ApnetError(Exception):
    """An error a user can act on.

    Its message gives what happened, what was got, what was expected, where (path and HDU), and a remedy. The command
    line prints it without a traceback. problem: the message without the remedy. remedy: None if there is none.
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
        self.problem, self.remedy = text, remedy
        if remedy is not None:
            text += f". Remedy: {remedy}"
        super().__init__(text)


class UsageError(ApnetError):
    """The arguments, the weights or the output folder cannot be used: exit code 2."""


class WeightsError(UsageError):
    """A weights file or checkpoint cannot be used as it is: exit code 2."""


class Stopped(ApnetError):
    """The run stopped before its end; the same command goes on with it: exit code 4."""


class ApnetWarning(UserWarning):
    """A result is there, but may not mean what it seems to."""


class FluxWarning(ApnetWarning):
    """Flux or errors are on a scale that is not APOGEE's, so that the labels mean nothing."""


class WeightsWarning(ApnetWarning):
    """The weights are not made for these spectra."""
