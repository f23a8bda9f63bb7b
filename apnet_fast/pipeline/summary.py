"""What a run returns: rows, failures and rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.pipeline.shards import Marker
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra import Product


@dataclass(frozen=True)
class RunSummary:
    """Rows per product and failures per reason of the whole catalogue, and the rate of this run.

    incomplete_photometry: spectra with a result that lack photometry that the network uses. counts: further spectra
    with a result, by what is to be told of them ("implausible_flux", "without_scatter", "not_simulated"). matches: rows
    per product by what the catalog knew of them ("spectrum", "source", ...). rate [spectra per second] and bound, the
    line that names the slowest stage, are None if nothing was left to compute. warnings: the counts in words.
    """

    rows: dict[Product, int]
    reasons: dict[str, int]
    incomplete_photometry: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    matches: Mapping[Product, Mapping[str, int]] = field(default_factory=dict, compare=False)
    rate: float | None = field(default=None, compare=False)
    bound: str | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def failures(self) -> int:
        """Spectra without a result."""
        return sum(self.reasons.values())

    @property
    def results(self) -> int:
        """Spectra with a result."""
        return sum(self.rows.values()) - self.failures


def warnings_of(summary: RunSummary, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return a line for everything that makes labels of a run doubtful."""
    counts = summary.counts
    flux = FluxCounts(summary.results, counts.get("implausible_flux", 0), counts.get("without_scatter", 0))
    lines = flux.messages(checkpoint.plausible_flux)
    if checkpoint.for_simulated_only and counts.get("not_simulated"):
        lines.append(
            f"These weights are for simulated spectra only ({checkpoint.origin}). The labels of"
            f" {counts['not_simulated']} spectra that do not say they are simulated mean nothing"
        )
    return tuple(lines)


def summary_of(markers: Sequence[Marker], products: Sequence[Product]) -> RunSummary:
    """Add up what the markers of all shards count."""
    reasons: Counter[str] = Counter()
    for marker in markers:
        reasons.update(marker.reasons)
    rows = {product: sum(marker.parts[product].rows for marker in markers) for product in products}
    counts: Counter[str] = Counter()
    for marker in markers:
        counts.update(marker.counts)
    incomplete = sum(marker.incomplete_photometry for marker in markers)
    return RunSummary(rows, dict(reasons), incomplete, {name: number for name, number in counts.items() if number})
