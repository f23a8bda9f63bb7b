"""SDSS's environment in small: a survey with its summary table, and Astra's folder with its weights."""

from __future__ import annotations

from pathlib import Path

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.default_weights import IN_ASTRA
from apnet_fast.networks.upstream import export_upstream
from apnet_fast.simulate import simulate_tree
from tests.inputs.survey_tables import of_astra, records_of, write

TABLE = Path("dr19/spectro/astra/0.6.0/summary/mwmAllStar-0.6.0.fits")


def small_survey(root: Path) -> Path:
    """Make a survey of two stars of one visit each (SAS_BASE_DIR), with its mwmAllStar."""
    tree = root / "dr17/apogee/spectro/redux"
    tree.parent.mkdir(parents=True)
    simulate_tree(tree, stars=2, layout="dr17", visits=1, seed=3)
    table = root / TABLE
    table.parent.mkdir(parents=True)
    write(table, of_astra(records_of(tree), "star"), "APOGEE")
    return root


def astras_folder(folder: Path, checkpoint: Checkpoint) -> Path:
    """Make Astra's folder (MWM_ASTRA) with a checkpoint in the upstream form."""
    export_upstream(checkpoint, folder / IN_ASTRA)
    return folder
