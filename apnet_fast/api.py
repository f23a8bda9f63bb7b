"""The Python API: arrays in, a structured array of labels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.engines import Engine, choose_devices, create_engine, default_precision
from apnet_fast.errors import UsageError
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.philox import noise_keys
from apnet_fast.recipes import Labels, Recipe, get_recipe
from apnet_fast.spectra.batch import PIXELS
from apnet_fast.spectra.missing import usable_spectra

_COLUMN_TYPES = {"result_flags": "i8", "flag_warn": "?", "flag_bad": "?"}
LABEL_DTYPE = np.dtype([(field.name, _COLUMN_TYPES.get(field.name, "f4")) for field in fields(Labels)])


class ApogeeNet:
    """A network, a recipe and an engine that runs them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def load(
        cls,
        weights: str | Path,
        *,
        recipe: str = "dr19",
        device: str | None = None,
        engine: str = "auto",
        precision: str | None = None,
    ) -> ApogeeNet:
        """Load a weights file (see `python -m apnet_fast.weights`) into an engine.

        device: "cpu", "cuda:0", or several with commas between; default every visible GPU, else the CPU. engine:
        "auto", "triton", "cpu", "reference" or "null". precision: "fp16", "fp32" or "fp64", as the engine has it;
        default fp16 for the Triton engine, else fp32.

        Raises WeightsError for weights that cannot be used, UsageError for unknown names.
        """
        checkpoint = load_checkpoint(Path(weights))
        device = choose_devices(None, device, engine)
        precision = precision or default_precision(engine, device)
        return cls(create_engine(engine, checkpoint, get_recipe(recipe), device=device, precision=precision))

    @property
    def recipe(self) -> Recipe:
        """The recipe this network was loaded with."""
        return self.engine.recipe

    def labels(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        ids: Sequence[str],
        *,
        draws: int,
        seed: int,
        usable: NDArray[np.bool_],
    ) -> Labels:
        """The label columns of n spectra; those not `usable` (bool (n,)) get NaN and the NO_RESULT bit."""
        keys = noise_keys(seed, (identity for identity, ok in zip(ids, usable, strict=True) if ok))
        predictions = self.engine.predict(flux[usable], error[usable], keys, draws)
        return self.recipe.summarise(predictions, usable)

    def predict(
        self,
        flux: ArrayLike,
        error: ArrayLike,
        ids: Sequence[object] | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
    ) -> NDArray[np.void]:
        """Stellar labels of spectra on the apStar grid.

        Parameters
        ----------
        flux, error: (n, 8575) or (8575,), rest frame, same flux units, 1-sigma errors. Missing pixels may be
            NaN, or have errors of 0, NaN, infinity or 1e10.
        ids: what each spectrum's noise is keyed on: the catalogue's `identity` gives the catalogue's labels. Default
            its position 0..n-1, so that the noise of a spectrum then depends on its place in the array.
        draws: noise realisations a spectrum; default the recipe's (20).
        seed: seed of the noise.

        Returns
        -------
        Structured array (n,) with the catalogue's label columns: teff [K], logg [log10(cm/s^2)], fe_h [dex], their
        e_ and raw_e_ errors (float32), result_flags (int64), flag_warn, flag_bad (bool).

        Raises
        ------
        UsageError for shapes that do not fit together.
        """
        flux_rows = np.atleast_2d(np.asarray(flux, dtype=np.float32))
        error_rows = np.atleast_2d(np.asarray(error, dtype=np.float32))
        names = [_name(identity) for identity in (range(len(flux_rows)) if ids is None else ids)]
        if flux_rows.shape != error_rows.shape or flux_rows.shape != (len(names), PIXELS):
            raise UsageError(
                "flux, error and ids do not fit together",
                got=f"flux {flux_rows.shape}, error {error_rows.shape}, {len(names)} ids",
                expected="flux and error (n, 8575) and n ids",
            )
        labels = self.labels(
            flux_rows,
            error_rows,
            names,
            draws=self.recipe.default_draws if draws is None else draws,
            seed=seed,
            usable=usable_spectra(flux_rows),
        )
        out = np.empty(len(names), dtype=LABEL_DTYPE)
        for name in LABEL_DTYPE.names or ():
            out[name] = getattr(labels, name)
        return out


def _name(identity: object) -> str:
    """An id as text; FITS readers give text as bytes."""
    return identity.decode() if isinstance(identity, bytes) else str(identity)
