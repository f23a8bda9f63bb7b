"""Compute Astra's task `apogeenet`: any iterable of Astra's spectra in, its result rows out.

The contract is that of Astra 0.6.0, and also of its development branch if the two differ and both can be kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from apnet_fast.api import ApogeeNet
from apnet_fast.backends.stream import Result, Spectrum, label_stream
from apnet_fast.networks.checkpoint import network_of
from apnet_fast.networks.default_weights import find_weights
from apnet_fast.recipes import RECIPES_OF, network_version
from apnet_fast.recipes.flag_tables import ASTRA_06, FlagTable
from apnet_fast.recipes.labels import MEDIANS
from apnet_fast.recipes.photometry import NO_SOURCE, PHOTOMETRY_COLUMNS
from apnet_fast.spectra.containers import error_of
from apnet_fast.spectra.quantities import flux_and_ivar
from apnet_fast.support.errors import UsageError
from apnet_fast.support.variables import DEVICE, RECIPE, value_of

log = logging.getLogger(__name__)

_RECIPE = "astra-0.6"

# Astra's own decorator and command line pass these along; they are meant for them.
_OF_THE_HARNESS = frozenset({"live", "live_renderable", "page"})
_LABELS = ("teff", "e_teff", "logg", "e_logg", "fe_h", "e_fe_h", "raw_e_teff", "raw_e_logg", "raw_e_fe_h")


class AstraSpectrum(Protocol):
    """Name what is used of a spectrum.

    flux [1e-17 erg/s/cm^2/Angstrom] and ivar are (8575,), or astropy Quantities. Reading may open a file and raise.
    """

    spectrum_pk: Any
    source_pk: Any
    flux: ArrayLike
    ivar: ArrayLike


@dataclass
class ApogeeNetRow:
    """Hold a result if no other row type is given; the fields are those of Astra's model ApogeeNet.

    teff [K], logg [log10(cm/s^2)], fe_h [dex] and their errors are NaN without a result. Only ApogeeNetV2 has medians
    of the draws; other networks leave them NaN. t_elapsed [s].
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
    batch_size: int | None = None,
    mark_overhead: bool = False,
    simulated: bool = False,
    **kwargs: Any,
) -> Iterator[Any]:
    """Yield the stellar labels of Astra's spectra: always one row per spectrum, in their order.

    Spectra are taken as rows are asked for, at most one batch ahead. A spectrum that cannot be read, or has no pixel
    with data, gets a row with only its keys and flag_runtime_exception; the log has the traceback.

    Parameters
    ----------
    spectra: iterable of objects with spectrum_pk, source_pk, flux and ivar. If it has a method `iterator()` (a peewee
        query), that method is used, so that rows are not kept. Astra's own default, the coadds without a row, is a
        query on its database: docs/backends.md has a task with it. Errors are missing where ivar is not above 0, not
        finite, or masked.
    num_uncertainty_draws: noise realisations per spectrum; default the recipe's (v3 20, v2 and v1 100).
    limit: the most spectra to take.
    row: called as row(spectrum_pk=, source_pk=, t_elapsed=, ...) with plain Python values: the labels, e_ and
        raw_e_ errors and result_flags, with medians also *_sample_median. Without a result it gets only
        flag_runtime_exception=True, or only result_flags if the recipe has another bit for it. Astra 0.6's model class
        ApogeeNet fits.
    from_spectrum: called as from_spectrum(spectrum, t_elapsed=, ...) instead of `row`, without the keys. The
        classmethod of that name in Astra's development branch fits.
    net: a loaded network. Without it weights (a file, or "demo"), recipe, device, engine and precision are as in
        `ApogeeNet.load`, with the same variables of the environment as defaults: APNET_FAST_WEIGHTS (else Astra's own
        copy below MWM_ASTRA), APNET_FAST_RECIPE and APNET_FAST_DEVICE. The default recipe is astra-0.6 if the network
        has it, else the network's first. Weights are loaded once per process.
    seed: seed of the noise. Noise is keyed on spectrum_pk, so it is the same in every run.
    batch_size: as `label_stream` takes it.
    mark_overhead: give `...` once the network is loaded, as Astra's decorator wants it to tell overhead from work.
        Off by default, because it is one item more than there are spectra.
    simulated: whether the spectra are simulated, as in `ApogeeNet.predict`.
    kwargs: what Astra's harness passes is ignored; any other name is ignored with a warning.

    v2 reads spectrum.source for its photometry (plx, g_mag, bp_mag, rp_mag, j_mag, h_mag, k_mag). If the source is
    absent, or raises, the spectrum keeps its labels: as in Astra the network then gets the mean of every value, and the
    row is flagged MISSING_PHOTOMETRY.

    The recipe's noise model is applied already: Astra's whole-table updates of flags and errors must not run on these
    rows again. t_elapsed is the time of the batch over its size.

    Raises
    ------
    UsageError, WeightsError at the first row, if something other than a spectrum is wrong.
    """
    if unknown := sorted(set(kwargs) - _OF_THE_HARNESS):
        log.warning("apogeenet ignores unknown arguments: %s", ", ".join(unknown))
    net = _network(net, weights, recipe, device, engine, precision)
    if mark_overhead:
        yield ...
    items = _rows_of(spectra)
    read = _read_with_photometry if network_version(net.recipe.network).photometry else _read
    medians = MEDIANS if net.recipe.medians else ()
    results = label_stream(
        net,
        islice(items, limit),
        read,
        draws=num_uncertainty_draws,
        seed=seed,
        batch_size=batch_size,
        simulated=simulated,
    )
    for result in results:
        fields = _fields(result, net.recipe.flag_table, (*_LABELS, *medians))
        if from_spectrum is not None:
            yield from_spectrum(result.item, **fields)
        else:
            yield row(spectrum_pk=result.item.spectrum_pk, source_pk=result.item.source_pk, **fields)


def _rows_of(spectra: Any) -> Iterator[Any]:
    if not hasattr(spectra, "iterator"):
        return iter(spectra)
    # A query of peewee keeps its first cursor. Its clone asks anew: as a default, it serves more calls than one.
    query = spectra.clone() if hasattr(spectra, "clone") else spectra
    return iter(query.iterator())


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
    path = find_weights(weights)
    return _loaded(str(path), recipe or value_of(RECIPE), device or value_of(DEVICE), engine, precision)


@lru_cache(maxsize=1)
def _loaded(weights: str, recipe: str | None, device: str | None, engine: str, precision: str | None) -> ApogeeNet:
    if recipe is None and _RECIPE in RECIPES_OF[network_of(Path(weights))]:
        recipe = _RECIPE
    return ApogeeNet.load(weights, recipe=recipe, device=device, engine=engine, precision=precision)


def _read(spectrum: AstraSpectrum) -> Spectrum:
    flux, ivar = flux_and_ivar(spectrum.flux, spectrum.ivar)
    return Spectrum(flux, error_of(ivar), spectrum.spectrum_pk)


def _read_with_photometry(spectrum: Any) -> Spectrum:
    return replace(_read(spectrum), photometry=_photometry_of(spectrum))


def _photometry_of(spectrum: Any) -> Sequence[float]:
    """Return the source's parallax and magnitudes, NaN for those it lacks; `NO_SOURCE` without a source."""
    try:
        source = getattr(spectrum, "source", None)
        if source is None:
            return NO_SOURCE
        values = [getattr(source, name) for name in PHOTOMETRY_COLUMNS]
        return [np.nan if value is None else float(value) for value in values]
    # The relation is the database's code and may raise anything; to Astra any error means that there is no source.
    except Exception as problem:  # noqa: BLE001
        log.warning("no source of spectrum %s: %s: %s", spectrum.spectrum_pk, type(problem).__name__, problem)
        return NO_SOURCE


def _fields(result: Result[Any], table: FlagTable, names: Sequence[str]) -> dict[str, Any]:
    """Return a row's fields, without its keys, as plain Python values, which databases take."""
    flag_bits = int(result.labels["result_flags"])
    if not result.failure:
        values = {name: float(result.labels[name]) for name in names}
        return {"t_elapsed": result.seconds, **values, "result_flags": flag_bits}
    if table is ASTRA_06:
        return {"t_elapsed": result.seconds, "flag_runtime_exception": True}
    return {"t_elapsed": result.seconds, "result_flags": flag_bits}
