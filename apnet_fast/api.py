"""Offer the Python API: arrays in, a structured array of labels out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.engines import Engine, NullEngine, choose_devices, create_engine, default_precision
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.networks.shipped import weights_path
from apnet_fast.recipes import Labels, Recipe, get_recipe, label_names
from apnet_fast.recipes.flux import FluxCounts, FluxRange, count_flux
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.recipes.photometry import as_photometry
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.missing import usable_spectra
from apnet_fast.spectra.quantities import flux_and_error
from apnet_fast.support.errors import FluxWarning, UsageError, WeightsWarning
from apnet_fast.support.grid import PIXELS

_COLUMN_TYPES = {"result_flags": "i8", "flag_warn": "?", "flag_bad": "?"}


def label_dtype(network: str) -> np.dtype[np.void]:
    """Return the dtype of a network's label columns, as `ApogeeNet.predict` returns them."""
    return np.dtype([(name, _COLUMN_TYPES.get(name, "f4")) for name in label_names(network)])


class ApogeeNet:
    """Hold a network, a recipe and the engine that runs them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def load(
        cls,
        weights: str | Path,
        *,
        recipe: str | None = None,
        device: str | None = None,
        engine: str = "auto",
        precision: str | None = None,
    ) -> ApogeeNet:
        """Load a weights file (see `python -m apnet_fast.weights`), or "demo", the shipped one, into an engine.

        recipe: a recipe of the weights' network; default "dr19" for v3, "astra-0.6" for v2, "astra-2020" for v1.
        device: "cpu", "cuda:0", or several separated by commas; default every visible GPU, else the CPU. engine:
        "auto", "triton" (v3), "torch" (v2 and v1 on a GPU), "cpu", "reference" or "null". precision: "fp16", "fp32" or
        "fp64", if the engine has it; default fp16 for the Triton engine, else fp32.

        Raises WeightsError for weights that cannot be used, UsageError for unknown names.
        """
        checkpoint = load_checkpoint(weights_path(weights))
        network = checkpoint.network
        device = choose_devices(None, device, engine, network)
        precision = precision or default_precision(engine, device, network)
        return cls(create_engine(engine, checkpoint, get_recipe(recipe, network), device=device, precision=precision))

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
        return label_dtype(self.recipe.network)

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
        flux: ArrayLike,
        error: ArrayLike,
        ids: Sequence[object] | None = None,
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
        ids: the keys of each spectrum's noise: the catalogue's `identity` gives the catalogue's labels. Default the
            positions 0..n-1, so that a spectrum's noise then depends on its place in the array.
        draws: noise realisations per spectrum; default the recipe's (20 for v3, 100 for v2 and v1).
        seed: seed of the noise, an integer.
        photometry: (n, 7) or (7,): parallax [mas], G, BP, RP, J, H, K [mag], NaN or masked if unknown. v2 uses it;
            without it every value counts as missing, which v2 accepts but flags. v3 and v1 ignore it.
        simulated: whether the spectra are simulated. Weights for simulated spectra only, such as the demo weights, mean
            nothing on others, which then get RESULT_UNRELIABLE if the recipe's flags have this bit.

        Returns
        -------
        Structured array (n,) with the catalogue's label columns: teff [K], logg [log10(cm/s^2)], fe_h [dex], their
        e_ and raw_e_ errors (float32), result_flags (int64), flag_warn, flag_bad (bool). v2 adds the medians of the
        draws, teff_sample_median, logg_sample_median, fe_h_sample_median.

        Raises
        ------
        UsageError for shapes that do not fit together, a single string as ids, a seed or draws that are no integers,
        negative errors, and units that are not those of flux.

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
        flux: ArrayLike,
        error: ArrayLike,
        ids: Sequence[object] | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
        photometry: ArrayLike | None = None,
        simulated: bool = False,
    ) -> tuple[NDArray[np.void], FluxCounts]:
        """Return what `predict` does, and the counts that it warns of, to add up and warn once."""
        check_ids(ids)
        if not isinstance(seed, Integral):
            raise UsageError("the seed of the noise is no integer", got=repr(seed), expected="an integer, such as 0")
        flux, error = flux_and_error(flux, error)
        flux_rows = np.atleast_2d(without_mask(flux))
        error_rows = np.atleast_2d(without_mask(error))
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
        for name in label_names(self.recipe.network):
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
    """Return an id as a string; FITS readers give strings as bytes."""
    return identity.decode() if isinstance(identity, bytes) else str(identity)
