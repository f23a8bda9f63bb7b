"""A small finished run with the engine that computes nothing, for kinds that damage what a run leaves."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.catalog.names import PRODUCT_NAMES
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.run import run
from apnet_fast.simulate import simulate_tree
from tests.fuzz.weights import SMALL
from tests.pipeline.runs import arguments, catalogue_bytes, quarantine


@dataclass(frozen=True)
class FinishedRun:
    """A finished run. catalogue: its rows, as bytes to compare."""

    tree: Path
    weights: Path
    output: Path
    catalogue: bytes

    @classmethod
    def make(cls, folder: Path) -> FinishedRun:
        """Run over a few stars, one of them unreadable, in three shards."""
        tree = simulate_tree(folder / "tree", stars=5, layout="dr17", visits=2, seed=4)
        (tree / "apStar-dr17-broken.fits").write_bytes(b"SIMPLE")
        weights = folder / "w.safetensors"
        random_checkpoint(seed=1, architecture=SMALL).save(weights)
        made = cls(tree, weights, folder / "out", b"")
        run(made.arguments(made.output))
        return cls(tree, weights, made.output, content_of(made.output))

    def arguments(self, output: Path) -> RunArguments:
        """Return the arguments of the same run into another folder."""
        return arguments([self.tree], self.weights, output, engine="null", readers=0)

    def copy(self, folder: Path) -> Path:
        """Copy the output folder."""
        return Path(shutil.copytree(self.output, folder / "out"))


def content_of(output: Path) -> bytes:
    """Return the rows of the catalogues and of the quarantine, to compare."""
    return catalogue_bytes(output) + repr(quarantine(output)).encode()


def catalogues(output: Path) -> list[Path]:
    """Return the files of the catalogues."""
    return [output / f"{name}.{form}" for name in PRODUCT_NAMES.values() for form in ("fits", "parquet")]
