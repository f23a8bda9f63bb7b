"""The random streams of the simulator: a star's depend on the seed and its number, not on its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# First word of every random stream; what follows is the star's number and the stage of its making.
STARS, EDGE_CASES, FIELDS, ARRAYS = 0, 1, 2, 3
WHO, HOW_OFTEN, WHEN, SEEN = 0, 1, 2, 3


@dataclass(frozen=True)
class Streams:
    """The random streams of one star of a family."""

    seed: int
    family: int
    number: int

    def stream(self, *stage: int) -> np.random.Generator:
        """The stream of one stage of its making."""
        key = (self.family, self.number, *stage)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
