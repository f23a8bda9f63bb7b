"""Offer the Python API: arrays in, a structured array of labels out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.engines import Engine, NullEngine
from apnet_fast.engines.loading import EngineOptions, load_engine, shared_engine
from apnet_fast.networks.default_weights import find_weights
from apnet_fast.recipes import Labels, Recipe, label_names
from apnet_fast.recipes.flux import FluxCounts, FluxRange, count_flux
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.recipes.photometry import as_photometry
from apnet_fast.spectra.containers import Flux
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.quantities import flux_and_error
from apnet_fast.support.errors import FluxWarning, UsageError, WeightsWarning
from apnet_fast.support.grid import PIXELS
from apnet_fast.support.variables import DEVICE, RECIPE, value_of

_COLUMN_TYPES = {"result_flags": "i8", "flag_warn": "?", "flag_bad": "?"}


def label_dtype(network: str, medians: bool = False) -> np.dtype[np.void]:
    """Return the dtype of a network's label columns, as `ApogeeNet.predict` returns them; see `label_names`."""
    return np.dtype([(name, _COLUMN_TYPES.get(name, "f4")) for name in label_names(network, medians)])


class ApogeeNet:
    """Hold a network, a recipe and the engine that runs them.

    A network that was loaded by `load` can be pickled and sent to other processes: as the path of its weights and its
    options, so that it weighs nothing. It loads the weights there on first use, once per process, and only if they are
    the same. A device that `load` was not given is chosen there anew. Copies share the engine. In a forked process it
    works on the CPU; on a GPU it refuses at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine | None = engine
        self._options: EngineOptions | None = None

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        recipe: str | None = None,
        device: str | None = None,
        engine: str = "auto",
        precision: str | None = None,
    ) -> ApogeeNet:
        """Load a weights file (see `python -m apnet_fast.weights`), or "demo", the shipped one, into an engine.

        weights: default APNET_FAST_WEIGHTS, else Astra's below MWM_ASTRA (`networks.default_weights`). recipe and
        device have APNET_FAST_RECIPE and APNET_FAST_DEVICE before the defaults given here.
        recipe: a recipe of the weights' network; default "dr19" for v3, "astra-0.6" for v2, "astra-2020" for v1. v3's
        "dr19+medians" and "bossnet-2+medians" add the medians of the draws to the label columns.
        device: "cpu", "cuda:0", or several separated by commas; default every visible GPU, else the CPU. engine:
        "auto", "triton" (v3), "torch" (v2 and v1 on a GPU), "cpu", "reference" or "null". precision: "fp16", "fp32" or
        "fp64", if the engine has it; default fp16 for the Triton engine, else fp32.

        Raises WeightsError for weights that cannot be used, UsageError for unknown names and if there are no weights.
        """
        chosen = find_weights(None) if weights is None else weights
        recipe, device = recipe or value_of(RECIPE), device or value_of(DEVICE)
        loaded, options = load_engine(EngineOptions.of(chosen, recipe, device, engine, precision))
        net = cls(loaded)
        net._options = options
        return net

    @property
    def engine(self) -> Engine:
        """Return the engine; a network that came from another process loads it now."""
        if self._engine is None:
            assert self._options is not None
            self._engine = shared_engine(self._options)
        return self._engine

    def __getstate__(self) -> EngineOptions:
        if self._options is None:
            raise UsageError(
                "a network that was made of an engine cannot be sent to another process",
                remedy="load it with ApogeeNet.load",
            )
        return self._options

    def __setstate__(self, options: EngineOptions) -> None:
        self._engine, self._options = None, options

    def __copy__(self) -> ApogeeNet:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: object) -> ApogeeNet:
        return self.__copy__()

    def __repr__(self) -> str:
        options = self._options
        weights = "" if options is None else f", weights {options.weights!r}"
        if self._engine is None:
            return f"<ApogeeNet, not loaded yet{weights}>"
        engine, recipe = self._engine, self._engine.recipe
        return (
            f"<ApogeeNet {recipe.network}, recipe {recipe.name!r}, engine {engine.name!r} on {engine.device} in"
            f" {engine.precision}{weights}>"
        )

    @property
    def recipe(self) -> Recipe:
        """Return the recipe with which this network was loaded."""
        return self.engine.recipe

    @property
    def plausible_flux(self) -> FluxRange:
        """Return the range of median flux [1e-17 erg/s/cm^2/Angstrom] in which the weights can be used."""
        return self.engine.checkpoint.plausible_flux

    @property
    def label_dtype(self) -> np.dtype[np.void]:
        """Return the dtype of the arrays that `predict` returns."""
        return label_dtype(self.recipe.network, self.recipe.medians)

    def submit_labels(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        ids: Sequence[str],
        *,
        draws: int,
        seed: int,
        usable: NDArray[np.bool_],
        photometry: NDArray[np.float32] | None = None,
        unreliable: NDArray[np.bool_] | None = None,
    ) -> Callable[[], Labels]:
        """Hand n spectra to the engine and return a function that waits for their label columns.

        Those not `usable` (bool (n,)) get NaN and the NO_RESULT bit. Leave the arrays alone until the labels are there.

        flux, error: as read from files, in 1e-17 erg/s/cm^2/Angstrom; their scale is not looked at (see `count`).
        photometry: float32 (n, 7) of all n spectra, as `Engine.predict` takes it. unreliable: bool (n,), as
        `Recipe.summarise` takes it.
        """
        keys = noise_keys(seed, (identity for identity, ok in zip(ids, usable, strict=True) if ok))
        known = as_photometry(photometry, len(flux))
        pending = self.engine.submit(flux[usable], error[usable], keys, draws, known[usable])
        return lambda: self.recipe.summarise(pending(), usable, known, unreliable)

    def predict(
        self,
        flux: Flux,
        error: ArrayLike | None = None,
        ids: Iterable[object] | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
        photometry: ArrayLike | None = None,
        simulated: bool = False,
    ) -> NDArray[np.void]:
        """Return the stellar labels of spectra on the apStar grid.

        Parameters
        ----------
        flux, error: (n, 8575) or (8575,), rest frame, 1-sigma errors, both in 1e-17 erg/s/cm^2/Angstrom, the unit of
            apStar files, or astropy Quantities, which are converted. Spectra divided by their median get wrong labels.
            Missing pixels may be NaN, be masked (numpy's masked arrays), or have errors of 0, NaN, infinity or 1e10.
            Tensors of torch, columns of Arrow, pandas and polars that hold one array per row, and lists of rows are
            taken too. flux may be an NDData of astropy or a Spectrum of specutils, or a list of them: error is then
            theirs and is left out, their masked pixels are missing, and their wavelengths must be the grid's.
        ids: the keys of each spectrum's noise: the catalogue's `identity` gives the catalogue's labels. Default the
            positions 0..n-1, so that a spectrum's noise then depends on its place in the array. Blanks and NULs at
            the end, with which FITS fills up texts, do not count.
        draws: noise realisations per spectrum; default the recipe's (20 for v3, 100 for v2 and v1).
        seed: seed of the noise, an integer.
        photometry: (n, 7) or (7,): parallax [mas], G, BP, RP, J, H, K [mag], NaN or masked if unknown. v2 uses it;
            without it every value counts as missing, which v2 accepts but flags. v3 and v1 ignore it.
        simulated: whether the spectra are simulated. Weights for simulated spectra only, such as the demo weights, mean
            nothing on others, which then get flag_bad, and RESULT_UNRELIABLE if the recipe's flags have this bit.

        Returns
        -------
        Structured array (n,) with the catalogue's label columns: teff [K], logg [log10(cm/s^2)], fe_h [dex], their
        e_ and raw_e_ errors (float32), result_flags (int64), flag_warn, flag_bad (bool). v2, and recipes with
        "+medians", add the medians of the draws, teff_sample_median, logg_sample_median, fe_h_sample_median.

        Raises
        ------
        UsageError for shapes that do not fit together, a single string as ids, a seed or draws that are not integers,
        missing or negative errors, units that are not those of flux, and wavelengths that are not those of the grid.

        Warns
        -----
        FluxWarning, once, with the number of spectra whose median flux is implausible for APOGEE or for the spectra the
        weights were trained on, or whose draws have no scatter. WeightsWarning, once, if the weights are for simulated
        spectra only and `simulated` is not set.
        """
        labels, counts = self.predict_and_count(
            flux, error, ids, draws=draws, seed=seed, photometry=photometry, simulated=simulated
        )
        self.warn(counts, simulated=simulated, stacklevel=3)
        return labels

    def predict_and_count(
        self,
        flux: Flux,
        error: ArrayLike | None = None,
        ids: Iterable[object] | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
        photometry: ArrayLike | None = None,
        simulated: bool = False,
    ) -> tuple[NDArray[np.void], FluxCounts]:
        """Return what `predict` does, and the counts that it warns of, to add up and warn once."""
        check_ids(ids)
        if not isinstance(seed, Integral):
            raise UsageError("the seed of the noise is not an integer", got=repr(seed), expected="an integer")
        plain_flux, plain_error = flux_and_error(flux, error)
        flux_rows = np.atleast_2d(without_mask(plain_flux))
        error_rows = np.atleast_2d(without_mask(plain_error))
        names = [_name(identity) for identity in (range(len(flux_rows)) if ids is None else ids)]
        if flux_rows.shape != error_rows.shape or flux_rows.shape != (len(names), PIXELS):
            raise UsageError(
                "flux, error and ids do not fit together",
                got=f"flux {flux_rows.shape}, error {error_rows.shape}, {len(names)} ids",
                expected="flux and error (n, 8575) and n ids",
            )
        check_errors(error_rows, names)
        draws = self.recipe.default_draws if draws is None else draws
        usable = usable_spectra(flux_rows)
        labels = self.submit_labels(
            flux_rows,
            error_rows,
            names,
            draws=draws,
            seed=seed,
            usable=usable,
            photometry=None if photometry is None else np.atleast_2d(without_mask(photometry)),
            unreliable=np.full(len(names), self.engine.checkpoint.for_simulated_only and not simulated),
        )()
        out = np.empty(len(names), dtype=self.label_dtype)
        for name in self.recipe.label_names:
            out[name] = getattr(labels, name)
        return out, self.count(flux_rows, labels, usable, draws)

    def count(self, flux: NDArray[np.float32], labels: Labels, usable: NDArray[np.bool_], draws: int) -> FluxCounts:
        """Count spectra of implausible flux or scatter; arguments: see `submit_labels`. The null engine has none."""
        if isinstance(self.engine, NullEngine):
            return FluxCounts()
        return count_flux(flux, labels, usable, self.plausible_flux, draws)

    def warn(self, counts: FluxCounts, *, simulated: bool, stacklevel: int = 2) -> None:
        """Give the warnings that `predict` describes, for these counts."""
        checkpoint = self.engine.checkpoint
        if checkpoint.for_simulated_only and not simulated:
            warnings.warn(
                f"these weights are for simulated spectra only ({checkpoint.origin}): on real stars their labels mean"
                " nothing. Give simulated=True if the spectra are simulated",
                WeightsWarning,
                stacklevel=stacklevel,
            )
        if lines := counts.messages(self.plausible_flux):
            warnings.warn("; ".join(lines), FluxWarning, stacklevel=stacklevel)


def check_ids(ids: object) -> None:
    """Raise UsageError for a single string, whose letters would be taken for ids."""
    if isinstance(ids, str | bytes):
        raise UsageError(
            "ids is a single string",
            got=repr(ids),
            expected="a sequence of ids, one per spectrum",
            remedy=f"ids=[{ids!r}]",
        )


def check_errors(error: NDArray[np.floating], names: Sequence[str]) -> None:
    """Raise UsageError for negative errors, which are a slip here; in files the recipe's clean-up decides."""
    negative = error < 0
    if negative.any():
        first = int(negative.any(axis=1).argmax())
        raise UsageError(
            "errors are negative",
            got=f"{int(negative.sum())} pixels, the first ones in spectrum {names[first]}",
            expected="1-sigma errors, and 0, NaN, infinity or 1e10 if missing",
            remedy="give their absolute values, if only their sign is wrong",
        )


def _name(identity: object) -> str:
    """Return an id as a string. FITS readers give strings as bytes, some with what FITS fills them up with."""
    return (identity.decode() if isinstance(identity, bytes) else str(identity)).rstrip(" \0")
