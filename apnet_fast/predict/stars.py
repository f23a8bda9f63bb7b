"""Compute the labels of the spectra of a few files, with the noise and so the labels that a catalogue has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.recipes import Labels
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra import Product, SpectrumBatch, SpectrumRecord, concatenate, read_spectra
from apnet_fast.support.errors import UsageError

# Spectra given to the engine at once: enough to keep its threads busy.
_BATCH = 64


@dataclass(frozen=True)
class SpectrumResult:
    """A spectrum and its labels.

    number: its place among all, from 1. labels: the catalogue's label columns, as plain numbers. flags: names of the
    bits set in result_flags.
    """

    number: int
    record: SpectrumRecord
    labels: dict[str, float | int | bool]
    flags: tuple[str, ...]

    @property
    def has_result(self) -> bool:
        """Tell whether the spectrum could be used."""
        return self.record.reason is None


@dataclass(frozen=True)
class OneSpectrum:
    """A spectrum with all that a picture of it needs.

    flux, error: float32 (8575,), as read. photometry: float32 (7,), NaN if unknown.
    """

    result: SpectrumResult
    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    photometry: NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """The results of all spectra, in the order of files and rows.

    counts: spectra whose flux or scatter is implausible. shown: the spectrum that was asked for, or else the first
    that could be used; None if there is none.
    """

    results: list[SpectrumResult]
    counts: FluxCounts
    shown: OneSpectrum | None


def predict_files(
    net: ApogeeNet,
    files: Iterable[str | Path],
    *,
    products: Sequence[Product] = ("star", "visit"),
    draws: int | None = None,
    seed: int = 0,
    catalog: SourceTable | None = None,
    show: int | None = None,
) -> Found:
    """Return the labels of all spectra of some files: the labels that a catalogue made with the same engine has.

    products: "star" for coadds, "visit" for visits. draws, seed: as in `ApogeeNet.predict`. catalog: what knows the
    photometry, for networks that use it. show: number of the spectrum to keep for a picture, from 1.

    A file that cannot be read has results without labels, with the reason in their records. Raises UsageError if `show`
    is the number of no spectrum, or of one that could not be used.
    """
    draws = net.recipe.default_draws if draws is None else draws
    net.recipe.check_draws(draws)
    results: list[SpectrumResult] = []
    counts = FluxCounts()
    shown: OneSpectrum | None = None
    for batch in _batches(files, products):
        photometry = _photometry(net, batch, catalog)
        labels = net.submit_labels(
            batch.flux,
            batch.error,
            [record.identity for record in batch.records],
            draws=draws,
            seed=seed,
            usable=batch.usable,
            photometry=photometry,
            unreliable=_unreliable(net, batch.records),
        )()
        counts += net.count(batch.flux, labels, batch.usable, draws)
        first = len(results)
        results += _results(net, batch.records, labels, first)
        for place, result in enumerate(results[first:]):
            wanted = result.has_result if show is None else result.number == show
            if shown is None and wanted and result.has_result:
                shown = OneSpectrum(result, batch.flux[place], batch.error[place], photometry[place])
    if show is not None and shown is None:
        raise UsageError(
            "there is no such spectrum, or it could not be used",
            got=show,
            expected="the number (#) of a spectrum with labels: "
            + (", ".join(str(result.number) for result in results if result.has_result) or "there is none"),
        )
    return Found(results, counts, shown)


def _batches(files: Iterable[str | Path], products: Sequence[Product]) -> Iterator[SpectrumBatch]:
    """Yield the spectra of all files, some at once; a file is never split."""
    waiting: list[SpectrumBatch] = []
    for file in files:
        waiting.append(read_spectra(str(file), products))
        if sum(map(len, waiting)) >= _BATCH:
            yield concatenate(waiting)
            waiting = []
    if waiting:
        yield concatenate(waiting)


def _photometry(net: ApogeeNet, batch: SpectrumBatch, catalog: SourceTable | None) -> NDArray[np.float32]:
    """Return float32 (n, 7): what the catalog knows, NaN without one."""
    if catalog is None or net.recipe.photometry is None:
        return np.full((len(batch), 7), np.nan, np.float32)
    return catalog.photometry(catalog.match(batch.records))


def _unreliable(net: ApogeeNet, records: Sequence[SpectrumRecord]) -> NDArray[np.bool_]:
    """Tell which spectra these weights mean nothing for: real ones, if the weights know only simulated ones."""
    only_simulated = net.engine.checkpoint.for_simulated_only
    return np.array([only_simulated and not record.simulated for record in records], bool)


def _results(net: ApogeeNet, records: Sequence[SpectrumRecord], labels: Labels, first: int) -> Iterator[SpectrumResult]:
    columns = {name: getattr(labels, name) for name in net.recipe.label_names}
    for place, record in enumerate(records):
        values = {name: column[place].item() for name, column in columns.items()}
        flags = tuple(net.recipe.flag_table.names(values["result_flags"]))
        yield SpectrumResult(first + place + 1, record, values, flags)
