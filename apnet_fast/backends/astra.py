"""Astra's task `apogeenet`, computed by this package: any iterable of Astra's spectra in, its result rows out.

The contract is that of Astra 0.6.0 (and of its development branch, where the two differ and both can be kept).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.backends.stream import BATCH_SIZE, Result, Spectrum, label_stream
from apnet_fast.networks.checkpoint import network_of
from apnet_fast.recipes import RECIPES_OF, network_version
from apnet_fast.recipes.flag_tables import ASTRA_06, FlagTable
from apnet_fast.recipes.labels import MEDIANS
from apnet_fast.recipes.photometry import NO_SOURCE, PHOTOMETRY_COLUMNS
from apnet_fast.spectra.masked import without_mask
from apnet_fast.support.errors import UsageError

log = logging.getLogger(__name__)

WEIGHTS_VARIABLE = "APNET_FAST_WEIGHTS"
RECIPE_VARIABLE = "APNET_FAST_RECIPE"
DEVICE_VARIABLE = "APNET_FAST_DEVICE"
_RECIPE = "astra-0.6"

# What Astra's own decorator and command line pass along; it is meant for them.
_OF_THE_HARNESS = frozenset({"live", "live_renderable", "page"})
_LABELS = ("teff", "e_teff", "logg", "e_logg", "fe_h", "e_fe_h", "raw_e_teff", "raw_e_logg", "raw_e_fe_h")


class AstraSpectrum(Protocol):
    """What is used of a spectrum. flux and ivar are (8575,); reading them may open a file and may raise."""

    spectrum_pk: Any
    source_pk: Any
    flux: ArrayLike
    ivar: ArrayLike


@dataclass
class ApogeeNetRow:
    """A result where no other row type is given; the fields are those of Astra's model ApogeeNet.

    teff [K], logg [log10(cm/s^2)], fe_h [dex] and their errors; NaN where there is no result. The medians of
    the draws are those of ApogeeNetV2; other networks leave them NaN. t_elapsed [s].
    """

    spectrum_pk: Any
    source_pk: Any
    t_elapsed: float
    teff: float = np.nan
    e_teff: float = np.nan
    logg: float = np.nan
    e_logg: float = np.nan
    fe_h: float = np.nan
    e_fe_h: float = np.nan
    teff_sample_median: float = np.nan
    logg_sample_median: float = np.nan
    fe_h_sample_median: float = np.nan
    raw_e_teff: float = np.nan
    raw_e_logg: float = np.nan
    raw_e_fe_h: float = np.nan
    result_flags: int = 0
    flag_runtime_exception: bool = False

    def __post_init__(self) -> None:
        if self.flag_runtime_exception:
            self.result_flags |= ASTRA_06.mask("RUNTIME_EXCEPTION")


def apogeenet(
    spectra: Iterable[Any],
    num_uncertainty_draws: int | None = None,
    limit: int | None = None,
    *,
    row: Callable[..., Any] = ApogeeNetRow,
    from_spectrum: Callable[..., Any] | None = None,
    net: ApogeeNet | None = None,
    weights: str | Path | None = None,
    recipe: str | None = None,
    device: str | None = None,
    engine: str = "auto",
    precision: str | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    mark_overhead: bool = False,
    **kwargs: Any,
) -> Iterator[Any]:
    """Stellar labels of Astra's spectra: a generator that gives one row a spectrum, always, in their order.

    Spectra are taken as rows are asked for, at most one batch ahead. One that cannot be read (or has no pixel with
    data) gets a row with only its keys and flag_runtime_exception; the log has the traceback.

    Parameters
    ----------
    spectra: iterable of objects with spectrum_pk, source_pk, flux and ivar; of something with a method `iterator()`
        (a query of peewee) that method is used, so that rows are not kept.
    num_uncertainty_draws: noise realisations a spectrum; default the recipe's (v3 20, v2 and v1 100).
    limit: at most so many spectra.
    row: called as row(spectrum_pk=, source_pk=, t_elapsed=, ...) with plain Python values: the labels, e_ and
        raw_e_ errors and result_flags, of v2 also *_sample_median; without a result flag_runtime_exception=True alone,
        or result_flags alone where the recipe has another bit for it. Astra 0.6's model class ApogeeNet fits.
    from_spectrum: called as from_spectrum(spectrum, t_elapsed=, ...) instead of `row`, without the keys; the
        classmethod of that name of Astra's development branch fits.
    net: a loaded network; else weights, recipe, device, engine and precision are as in `ApogeeNet.load`, with the
        environment's APNET_FAST_WEIGHTS, APNET_FAST_RECIPE and APNET_FAST_DEVICE as defaults. The recipe is astra-0.6
        where the network has it, else the network's first, if nothing else is said. Weights are loaded once a process.
    seed: of the noise, which is keyed on spectrum_pk: the same in every run.
    mark_overhead: give `...` once the network is loaded, as Astra's decorator wants it to tell overhead from work.
        Off by default, because it is one item more than there are spectra.
    kwargs: what Astra's harness passes is ignored; any other name too, with a warning.

    v2 reads spectrum.source for its photometry (plx, g_mag, bp_mag, rp_mag, j_mag, h_mag, k_mag). A source that is not
    there, or raises, costs no label: as in Astra the network then gets the mean of every value, and the row is flagged
    MISSING_PHOTOMETRY.

    Errors of the recipe's noise model are applied already: Astra's whole-table updates of flags and errors must not run
    on these rows again. t_elapsed is the time of the batch over its size.

    Raises
    ------
    UsageError, WeightsError at the first row asked for, if something other than a spectrum is wrong.
    """
    if unknown := sorted(set(kwargs) - _OF_THE_HARNESS):
        log.warning("apogeenet ignores unknown arguments: %s", ", ".join(unknown))
    net = _network(net, weights, recipe, device, engine, precision)
    if mark_overhead:
        yield ...
    items = spectra.iterator() if hasattr(spectra, "iterator") else iter(spectra)
    read = _read_with_photometry if network_version(net.recipe.network).photometry else _read
    medians = MEDIANS if network_version(net.recipe.network).medians else ()
    results = label_stream(
        net, islice(items, limit), read, draws=num_uncertainty_draws, seed=seed, batch_size=batch_size
    )
    for result in results:
        fields = _fields(result, net.recipe.flag_table, (*_LABELS, *medians))
        if from_spectrum is not None:
            yield from_spectrum(result.item, **fields)
        else:
            yield row(spectrum_pk=result.item.spectrum_pk, source_pk=result.item.source_pk, **fields)


def _network(
    net: ApogeeNet | None,
    weights: str | Path | None,
    recipe: str | None,
    device: str | None,
    engine: str,
    precision: str | None,
) -> ApogeeNet:
    if net is not None:
        if weights is not None or (recipe is not None and recipe != net.recipe.name):
            raise UsageError("a loaded network and other weights or another recipe at once", remedy="give one of them")
        return net
    path = weights or os.environ.get(WEIGHTS_VARIABLE)
    if not path:
        raise UsageError("no weights", expected="a weights file", remedy=f"weights=PATH, or set {WEIGHTS_VARIABLE}")
    recipe = recipe or os.environ.get(RECIPE_VARIABLE) or None
    device = device or os.environ.get(DEVICE_VARIABLE) or None
    return _loaded(str(path), recipe, device, engine, precision)


@lru_cache(maxsize=1)
def _loaded(weights: str, recipe: str | None, device: str | None, engine: str, precision: str | None) -> ApogeeNet:
    if recipe is None and _RECIPE in RECIPES_OF[network_of(Path(weights))]:
        recipe = _RECIPE
    return ApogeeNet.load(weights, recipe=recipe, device=device, engine=engine, precision=precision)


def error_of(ivar: ArrayLike) -> NDArray[np.float64]:
    """1-sigma errors float64 of inverse variances of any shape; 0, which counts as missing, where ivar is not above 0
    or masked.

    In float64, where error -> ivar -> error gives back every float32 error; in float32 some would lose their last bit.
    """
    inverse = without_mask(ivar, np.float64)
    known = np.isfinite(inverse) & (inverse > 0)
    return np.where(known, np.sqrt(1.0 / np.where(known, inverse, 1.0)), 0.0)


def _read(spectrum: AstraSpectrum) -> Spectrum:
    return Spectrum(spectrum.flux, error_of(spectrum.ivar), spectrum.spectrum_pk)


def _read_with_photometry(spectrum: Any) -> Spectrum:
    return Spectrum(spectrum.flux, error_of(spectrum.ivar), spectrum.spectrum_pk, _photometry_of(spectrum))


def _photometry_of(spectrum: Any) -> Sequence[float]:
    """What the source has of parallax and magnitudes, NaN where it has no value; `NO_SOURCE` without a source."""
    try:
        source = getattr(spectrum, "source", None)
        if source is None:
            return NO_SOURCE
        values = [getattr(source, name) for name in PHOTOMETRY_COLUMNS]
        return [np.nan if value is None else float(value) for value in values]
    # The relation is the database's code and may raise anything; for Astra any of it means that there is no source.
    except Exception as problem:  # noqa: BLE001
        log.warning("no source of spectrum %s: %s: %s", spectrum.spectrum_pk, type(problem).__name__, problem)
        return NO_SOURCE


def _fields(result: Result[Any], table: FlagTable, names: Sequence[str]) -> dict[str, Any]:
    """Fields of a row but for its keys, as plain Python values, which databases take."""
    flag_bits = int(result.labels["result_flags"])
    if not result.failure:
        values = {name: float(result.labels[name]) for name in names}
        return {"t_elapsed": result.seconds, **values, "result_flags": flag_bits}
    if table is ASTRA_06:
        return {"t_elapsed": result.seconds, "flag_runtime_exception": True}
    return {"t_elapsed": result.seconds, "result_flags": flag_bits}
