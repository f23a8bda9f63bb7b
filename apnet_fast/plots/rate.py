"""Draw how many spectra per second a run computed, over its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.inputs.summary_tables import read_table, table_columns
from apnet_fast.plots.figures import BLUE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BINS = 60
_FEWEST_TIMES = 4


@dataclass(frozen=True)
class Progress:
    """Spectra computed over time: total float64 (n,) at times [s] float64 (n,) since the first."""

    seconds: NDArray[np.float64]
    total: NDArray[np.float64]


def read_progress(paths: Sequence[Path], started: datetime | None = None) -> Progress | None:
    """Read when the rows of a run's catalogues were made (column `created`); a shard's rows share one time.

    started: when the run began, if it was not interrupted. Without it, time begins with the first shard. Returns None
    if the catalogues hold fewer than four times, which is too few for a curve.
    """
    columns = [read_table(path, ["created"])["created"] for path in paths if "created" in table_columns(path)]
    if not columns:
        return None
    counts = pc.value_counts(pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string()))
    numbers: dict[datetime, int] = {}
    for entry in counts.to_pylist():
        try:
            time = datetime.fromisoformat(entry["values"] or "")
        except ValueError:
            continue
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        numbers[time] = numbers.get(time, 0) + entry["counts"]
    times = sorted(numbers)
    if len(times) < _FEWEST_TIMES:
        return None
    total = np.cumsum([numbers[time] for time in times]).astype(np.float64)
    if started is not None and started < times[0]:
        times, total = [started, *times], np.concatenate([[0.0], total])
    return Progress(np.array([(time - times[0]).total_seconds() for time in times]), total)


def rates(progress: Progress) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return edges [s] (m + 1,) of equal time bins and the spectra per second (m,) in each."""
    bins = int(np.clip((len(progress.total) - 1) // 2, 1, _MOST_BINS))
    edges = np.linspace(0.0, progress.seconds[-1], bins + 1)
    return edges, np.diff(np.interp(edges, progress.seconds, progress.total)) / np.diff(edges)


def draw_rate(progress: Progress, *, narrow: bool = False) -> Figure:
    """Draw the rate in equal time bins, and the mean rate. narrow: make a figure for narrow screens."""
    edges, rate = rates(progress)
    unit, name = next(
        (seconds, name)
        for seconds, name in ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
        if edges[-1] >= 3 * seconds or seconds == 1.0
    )
    with new_figure(*((4.1, 2.3) if narrow else (8.2, 2.6))) as figure:
        axes = figure.subplots()
        axes.stairs(rate, edges / unit, fill=True, color=BLUE, alpha=0.25)
        axes.stairs(rate, edges / unit, color=BLUE, linewidth=1.2)
        mean = (progress.total[-1] - progress.total[0]) / progress.seconds[-1]
        axes.axhline(mean, color="0.3", linewidth=0.9, linestyle="--", label=f"mean {mean:,.4g} spectra/s")
        axes.set_xlim(0, edges[-1] / unit)
        axes.set_ylim(0, 1.25 * max(rate.max(), mean))
        axes.set_xlabel(f"time since the start [{name}]")
        axes.set_ylabel("spectra / s")
        axes.legend(loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
    return figure
