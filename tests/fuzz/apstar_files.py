"""Mutated apStar files, made by `tests.fuzz.apstar`, as the runner feeds them."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.apstar import KINDS, Mutant, Trial, hdus_of
from tests.fuzz.case import Case, Kind, WrongAnswer, numpy_randomness


def _prepare(folder: Path) -> Trial:
    return Trial(str(folder))


def _make(rng: random.Random, base: Trial, folder: Path) -> Case:
    original = rng.choice(base.originals)
    numbers = numpy_randomness(rng)
    changed, hdus, what, silent = bytearray(original), hdus_of(original), [], False
    for _ in range(1 if rng.random() < 0.75 else rng.randint(2, 3)):
        name = rng.choice(list(KINDS))
        words, is_silent, moves = KINDS[name](changed, hdus, numbers)
        what.append(f"{name}: {words}")
        silent |= is_silent
        if moves:
            break
    return Case("; ".join(what), (Mutant(bytes(changed), tuple(what), silent), original))


def _judge(base: Trial, case: Case) -> str:
    mutant, original = case.data
    base.counts.clear()
    if fault := base.fault(mutant, original):
        raise WrongAnswer(fault)
    return next(iter(base.counts)).replace("read", "label")


KIND = Kind("apstar", _prepare, _make, _judge, reads_inputs=True)
