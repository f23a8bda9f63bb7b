"""Turn a stream of anybody's spectra into a stream of labels: lazily, in order, always one result per spectrum."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.api import ApogeeNet, check_errors
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.recipes.photometry import PHOTOMETRY
from apnet_fast.spectra.containers import Flux
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.quantities import UnitError, flux_and_error
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS

log = logging.getLogger(__name__)

# Spectra given to an engine at once that wants no particular number: 4 MB.
_BATCH_SIZE = 64

Item = TypeVar("Item")


@dataclass(frozen=True)
class Spectrum:
    """Hold what the network needs of a spectrum.

    flux, error: (8575,), rest frame, in 1e-17 erg/s/cm^2/Angstrom, or astropy Quantities, which are converted; missing
    pixels may be NaN, be masked, or have errors of 0, NaN, infinity or 1e10. flux may also be an NDData of astropy or a
    Spectrum of specutils, with its own uncertainty; error is then None.
    identity: key of its noise. photometry: (7,) parallax [mas], G, BP, RP, J, H, K [mag], NaN or masked if unknown, or
    `recipes.photometry.NO_SOURCE`, for networks that use it; None means that nothing is known.
    """

    flux: Flux
    error: ArrayLike | None
    identity: object
    photometry: ArrayLike | None = None


@dataclass(frozen=True)
class Result(Generic[Item]):
    """Hold the outcome of an item.

    labels: one row of the label columns (`ApogeeNet.label_dtype`; for v2 with medians of the draws); NaN and the
    recipe's "no result" bit after a failure. failure: why there are no labels; empty if there are. seconds: time of
    its batch, for reading and network, over the size of the batch.
    """

    item: Item
    labels: np.void
    failure: str
    seconds: float


def label_stream(
    net: ApogeeNet,
    items: Iterable[Item],
    read: Callable[[Item], Spectrum],
    *,
    draws: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    simulated: bool = False,
) -> Iterator[Result[Item]]:
    """Yield the labels of items of any type, one result each, in their order.

    Items are taken when results are asked for, at most one batch ahead, and none is kept after its result is given.

    Parameters
    ----------
    items: any iterable, even an endless one.
    read: gives the spectrum of an item. If it raises, or gives arrays of another length, negative errors or no pixel
        with data, the item gets a result with a failure, the log has the traceback, and the stream goes on.
    draws: noise realisations per spectrum; default the recipe's.
    batch_size: spectra given to the engine at once, 69 kB each; it changes no label. Default: as many as the engine
        wants (engine triton four tiles, 248 spectra with 20 draws on an H100), 64 if any number will do.
    simulated: whether the spectra are simulated, as in `ApogeeNet.predict`.

    Raises
    ------
    UsageError for draws or a batch size that cannot be used, and for units that are not those of flux. Errors from
    `items` itself or from the engine end the stream, because no spectrum causes them.

    Warns
    -----
    As `ApogeeNet.predict`: once, with the first batch that gives a reason. The log has the numbers at the end.
    """
    draws = net.recipe.default_draws if draws is None else draws
    batch_size = batch_size_of(net, draws, batch_size)
    waiting = iter(items)
    notices = _Notices(net, simulated)
    while True:
        started = time.perf_counter()
        batch = list(islice(waiting, batch_size))
        if not batch:
            notices.end()
            return
        spectra, failures = _read_all(batch, read)
        labels, counts = net.predict_and_count(
            spectra.flux,
            spectra.error,
            spectra.identities,
            draws=draws,
            seed=seed,
            photometry=spectra.photometry,
            simulated=simulated,
        )
        notices.add(counts)
        seconds = (time.perf_counter() - started) / len(batch)
        results = [
            Result(item, row, failure, seconds) for item, row, failure in zip(batch, labels, failures, strict=True)
        ]
        del batch, spectra
        yield from _handed_over(results)


def batch_size_of(net: ApogeeNet, draws: int, batch_size: int | None) -> int:
    """Return a batch size that is given, or else the one that suits the engine; see `label_stream`.

    Raises UsageError for one below 1, and for draws that cannot be used.
    """
    net.recipe.check_draws(draws)
    if batch_size is None:
        return net.engine.preferred_batch(draws) or _BATCH_SIZE
    if batch_size < 1:
        raise UsageError("too small a batch", got=batch_size, expected="at least 1")
    return batch_size


class _Notices:
    """Warn once of the weights and once of the flux in a stream, and log the numbers of all of it at its end."""

    def __init__(self, net: ApogeeNet, simulated: bool) -> None:
        self._net, self._counts, self._told = net, FluxCounts(), False
        net.warn(FluxCounts(), simulated=simulated, stacklevel=4)

    def add(self, counts: FluxCounts) -> None:
        self._counts += counts
        if not self._told and self._counts.messages(self._net.plausible_flux):
            self._told = True
            self._net.warn(self._counts, simulated=True, stacklevel=4)

    def end(self) -> None:
        for line in self._counts.messages(self._net.plausible_flux):
            log.warning("%s", line)


def _handed_over(results: list[Result[Item]]) -> Iterator[Result[Item]]:
    """Yield the results, and forget each once it is given."""
    results.reverse()
    while results:
        yield results.pop()


@dataclass(frozen=True)
class _Spectra:
    """Hold a batch: flux, error float32 (n, 8575), NaN if reading failed; n identities; photometry (n, 7) or None."""

    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    identities: list[object]
    photometry: NDArray[np.float32] | None


def _read_all(batch: list[Item], read: Callable[[Item], Spectrum]) -> tuple[_Spectra, list[str]]:
    flux = np.full((len(batch), PIXELS), np.nan, dtype=np.float32)
    error = np.full((len(batch), PIXELS), np.nan, dtype=np.float32)
    photometry = np.full((len(batch), len(PHOTOMETRY)), np.nan, dtype=np.float32)
    identities: list[object] = [""] * len(batch)
    failures = [""] * len(batch)
    with_photometry = False
    for i, item in enumerate(batch):
        try:
            spectrum = read(item)
            given_flux, given_error = flux_and_error(spectrum.flux, spectrum.error)
            flux[i], error[i] = _row(given_flux, "flux"), _row(given_error, "error")
            check_errors(error[i : i + 1], [str(spectrum.identity)])
            identities[i] = spectrum.identity
            if spectrum.photometry is not None:
                photometry[i], with_photometry = without_mask(spectrum.photometry), True
        except UnitError:
            raise
        # Reading is the builder's code on the builder's files and may raise anything, but no spectrum may end the run.
        except Exception as problem:
            log.exception("spectrum %d of the batch could not be read", i)
            flux[i] = error[i] = np.nan
            failures[i] = f"{type(problem).__name__}: {problem}"
    for i, usable in enumerate(usable_spectra(flux)):
        if not usable and not failures[i]:
            failures[i] = "no pixel with data"
    return _Spectra(flux, error, identities, photometry if with_photometry else None), failures


def _row(values: ArrayLike, what: str) -> NDArray[np.float32]:
    row = without_mask(values)
    if row.shape != (PIXELS,):
        raise UsageError(f"{what} of another shape", got=row.shape, expected=f"({PIXELS},)")
    return row
