"""The simulator's random streams. A star's streams depend on the seed and its number, not on its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The first word of a random stream's key; the star's number and the stage of its making follow.
STARS, EDGE_CASES, FIELDS, ARRAYS = 0, 1, 2, 3
WHO, HOW_OFTEN, WHEN, SEEN = 0, 1, 2, 3


@dataclass(frozen=True)
class Streams:
    """The random streams of one star of a family."""

    seed: int
    family: int
    number: int

    def stream(self, *stage: int) -> np.random.Generator:
        """Return the stream of one stage of the star's making."""
        key = (self.family, self.number, *stage)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
