"""Random streams depend on seed, family, number and stage, each."""

from __future__ import annotations

import pytest

from apnet_fast.simulate.streams import ARRAYS, STARS, WHEN, WHO, Streams


def first(seed: int = 1, family: int = STARS, number: int = 0, stage: tuple[int, ...] = (WHO,)) -> float:
    return float(Streams(seed, family, number).stream(*stage).random())


def test_the_same_key_gives_the_same_numbers() -> None:
    assert first() == first()


@pytest.mark.parametrize("change", [{"seed": 2}, {"family": ARRAYS}, {"number": 1}, {"stage": (WHEN,)}, {"stage": ()}])
def test_every_part_of_the_key_counts(change: dict) -> None:
    assert first(**change) != first()
