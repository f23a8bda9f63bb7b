"""One case of the fuzz: a mutated input of a kind, and the verdict of the product on it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apnet_fast.support.errors import ApnetError

FAILURES = ("traceback", "died", "hang", "memory", "wrong")


class WrongAnswer(Exception):
    """The product accepted what it should have refused, or changed a value on the way."""


@dataclass(frozen=True)
class Case:
    """A mutated input.

    what: the mutation, in a few words. data: what `Kind.judge` needs, such as the path of a mutated file.
    """

    what: str
    data: Any


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    prepare: make the sound inputs once, in a folder of their own. make: mutate one, into a folder that is empty.
    judge: feed it to the product; return the verdict in a few words, raise WrongAnswer, or let an error pass. An
    ApnetError is a verdict too, and so is an OSError with a file's name unless `reads_inputs`; any other error is a
    failure.
    """

    name: str
    prepare: Callable[[Path], Any]
    make: Callable[[random.Random, Any, Path], Case]
    judge: Callable[[Any, Case], str]
    reads_inputs: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a case. failure: "" or one of `FAILURES`; text: the error in full, or the wrong answer."""

    kind: str
    number: int
    what: str = ""
    verdict: str = ""
    failure: str = ""
    text: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


def randomness(kind: str, seed: int, number: int) -> random.Random:
    """Return the random numbers of a case; they depend on kind, seed and number alone."""
    return random.Random(f"{seed}/{kind}/{number}")


def numpy_randomness(rng: random.Random) -> np.random.Generator:
    """Return numpy's random numbers, drawn from a case's."""
    return np.random.default_rng(rng.getrandbits(63))


def verdict_of(error: ApnetError) -> str:
    """Return the first words of an error: what happened, without what was got and where."""
    text = str(error).partition(";")[0].partition(":")[0].partition(" [")[0]
    return f"{type(error).__name__}: {text[:70]}"
