"""Draw the learning curves of a training: losses and the scatter of each label, by epoch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from apnet_fast.plots.figures import new_figure
from apnet_fast.support.errors import UsageError
from apnet_fast.support.regular_files import MEBIBYTE, regular_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BYTES = 256 * MEBIBYTE
_SCATTER = "scatter_"


def read_curves(path: Path) -> list[dict[str, float]]:
    """Read the epochs from a curves.json of `apnet_fast.train`, or from its folder; unknown values become NaN.

    Raises UsageError if the file is not a curves.json.
    """
    if path.is_dir():
        path = path / "curves.json"
    try:
        value = json.loads(regular_text(path, _MOST_BYTES))
        epochs = value["epochs"]
        if epochs and all("validation_loss" in epoch for epoch in epochs):
            return [{name: math.nan if value is None else value for name, value in epoch.items()} for epoch in epochs]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"no learning curves: {error}", expected="curves.json of a training", where=str(path)
        ) from error
    raise UsageError("no learning curves", expected="curves.json of a training, one epoch or more", where=str(path))


def draw_curves(epochs: list[dict[str, float]]) -> Figure:
    """Draw the losses and, below, the robust scatter of recovered - true per label, relative to the first epoch."""
    numbers = [epoch["epoch"] for epoch in epochs]
    with new_figure(5.0, 5.0) as figure:
        losses, scatters = figure.subplots(2, 1, sharex=True)
        for name, label in (("training", "training (augmented)"), ("validation", "validation (one draw)")):
            losses.plot(numbers, [epoch[f"{name}_loss"] for epoch in epochs], "o-", ms=3, label=label)
        losses.set_yscale("log")
        losses.set_ylabel("loss")
        for name in (key for key in epochs[0] if key.startswith(_SCATTER)):
            values = [epoch[name] for epoch in epochs]
            label = f"{name.removeprefix(_SCATTER)}: {values[-1]:.3g}"
            scatters.plot(numbers, [value / values[0] for value in values], "o-", ms=3, label=label)
        scatters.set_xlabel("epoch")
        scatters.set_ylabel("robust scatter, first epoch = 1")
        losses.legend()
        scatters.legend(title="at the end")
    return figure
