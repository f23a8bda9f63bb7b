"""What a run returns: rows, failures and rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apnet_fast.pipeline.shards import Marker
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra import Product


@dataclass(frozen=True)
class RunSummary:
    """Rows per product and failures per reason of the whole catalogue, and the rate of this run.

    incomplete_photometry: spectra with a result that lack photometry that the network uses. matches: rows per product
    by what the catalog knew of them ("spectrum", "source", ...). rate [spectra per second] and bound, the line that
    names the slowest stage, are None if nothing was left to compute. flux: counts of spectra whose flux or scatter is
    implausible. worthless: spectra whose labels mean nothing, under weights for simulated spectra only. warnings: lines
    about what makes labels worthless.
    """

    rows: dict[Product, int]
    reasons: dict[str, int]
    incomplete_photometry: int = 0
    matches: Mapping[Product, Mapping[str, int]] = field(default_factory=dict, compare=False)
    flux: FluxCounts = field(default_factory=FluxCounts)
    worthless: int = 0
    warnings: tuple[str, ...] = ()
    rate: float | None = field(default=None, compare=False)
    bound: str | None = field(default=None, compare=False)

    @property
    def failures(self) -> int:
        """Spectra without a result."""
        return sum(self.reasons.values())

    @property
    def results(self) -> int:
        """Spectra with a result."""
        return sum(self.rows.values()) - self.failures


def summary_of(markers: Sequence[Marker], products: Sequence[Product]) -> RunSummary:
    """Add up what the markers of all shards count."""
    reasons: Counter[str] = Counter()
    for marker in markers:
        reasons.update(marker.reasons)
    rows = {product: sum(marker.parts[product].rows for marker in markers) for product in products}
    incomplete = sum(marker.incomplete_photometry for marker in markers)
    worthless = sum(marker.worthless for marker in markers)
    flux = sum((marker.flux for marker in markers), FluxCounts())
    return RunSummary(rows, dict(reasons), incomplete, flux=flux, worthless=worthless)
