"""Make the files that the tiers read: a few simulated stars under many names, which cost no disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.simulate import simulate_tree

_DIFFERENT, _VISITS = 40, 4
SPECTRA_OF_A_STAR = 1 + _VISITS
_FOLDER_FILES = 500


def linked_tree(folder: Path, stars: int, layout: str = "dr17", different: int | None = None) -> Path:
    """Return a tree of `stars` files with four visits each, made once per folder: hard links to a few simulated files.

    different: how many, 40 by default.
    """
    originals, tree = folder / f"{layout}-originals", folder / f"{layout}-{stars}"
    if tree.exists():
        return tree
    if not originals.exists():
        begun = originals.with_suffix(".partial")
        shutil.rmtree(begun, ignore_errors=True)
        simulate_tree(begun, stars=different or _DIFFERENT, layout=layout, visits=_VISITS, seed=1)
        begun.rename(originals)
    # If the layout has symlinks, link to their targets.
    sources = [os.path.realpath(path) for path in resolve_inputs([str(originals)]).files]
    partial = tree.with_suffix(".partial")
    for number in range(stars):
        place = partial / f"{number // _FOLDER_FILES:04d}"
        place.mkdir(parents=True, exist_ok=True)
        name = place / f"apStar-dr17-2M{number:08d}+0000000.fits"
        if not name.exists():
            os.link(sources[number % len(sources)], name)
    partial.rename(tree)
    return tree


def weights(folder: Path) -> tuple[Path, Checkpoint]:
    """Return random weights of the real size, and their file in the folder."""
    path, checkpoint = folder / "random.safetensors", random_checkpoint(seed=0, network="v3")
    if not path.exists():
        checkpoint.save(path)
    return path, checkpoint
