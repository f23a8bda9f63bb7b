"""A small labelled tree and the settings of a run that takes a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.train.augment import Augmentation
from apnet_fast.train.settings import TrainSettings

STARS = 28
TINY = {"dim_mults": [1, 2], "adapt_pool_output_dim": 16, "num_linear": 1, "linear_dim": 8}


@pytest.fixture(scope="session")
def labelled_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """apStar files of `STARS` stars, one visit each, and truth.parquet."""
    return simulate_tree(
        tmp_path_factory.mktemp("train") / "tree", stars=STARS, layout="sdss5", visits=1, snr=150.0, seed=7
    )


@pytest.fixture
def settings_of(labelled_tree: Path) -> Callable[..., TrainSettings]:
    """Settings of a tiny run that writes to the given file; keywords change them."""

    def make(output: Path, **changes: Any) -> TrainSettings:
        values: dict[str, Any] = {
            "trees": (str(labelled_tree),),
            "network": "v3",
            "labels": (labelled_tree / "truth.parquet",),
            "output": output,
            "model_args": TINY,
            "augmentation": Augmentation(noise=0.5, segments=1, segment_pixels=50),
            "epochs": 3,
            "batch_size": 6,
            "validation": 0.25,
            "learning_rate": 3e-3,
            "report_draws": 2,
        }
        return TrainSettings(**{**values, **changes})

    return make
