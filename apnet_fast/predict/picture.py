"""Compute what a picture of one spectrum shows: what the network sees of it, and the labels of its draws."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.engines.reference import process, realisations
from apnet_fast.plots.star import StarPicture
from apnet_fast.predict.screen import spectrum_name
from apnet_fast.predict.stars import OneSpectrum, SpectrumResult
from apnet_fast.recipes import LABELS
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.support.forks import sound


@sound
def star_picture(net: ApogeeNet, one: OneSpectrum, *, draws: int, seed: int) -> StarPicture:
    """Return the picture's content. The draws are those behind the spectrum's labels: the same noise, to the bit."""
    keys = noise_keys(seed, [one.result.record.identity])
    flux, error = one.flux[None], one.error[None]
    clean, of_draws = net.engine.predict(flux, error, keys, draws, one.photometry[None]).in_kelvin()
    values = one.result.labels
    return StarPicture(
        name=title_of(one.result),
        flux=one.flux,
        error=one.error,
        seen=_seen(net, flux, error, keys, draws),
        log_flux=net.recipe.log_flux,
        clean=clean[0],
        draws=of_draws[0],
        labels={name: float(values[name]) for name in LABELS},
        errors={name: float(values[f"e_{name}"]) for name in LABELS},
        label_is=net.recipe.label,
        flags=one.result.flags,
    )


def _seen(
    net: ApogeeNet, flux: NDArray[np.float32], error: NDArray[np.float32], keys: NDArray[np.uint64], draws: int
) -> NDArray[np.float32]:
    """Return the network's input of the clean spectrum and of its first draw, float32 (2, 8575), or (1, 8575).

    It takes all draws, since they share a percentile in some recipes.
    """
    cleaned, sigma = net.recipe.clean_up(flux, error)
    noise = normals(keys, draws, flux.shape[1])
    rows = realisations(*(torch.from_numpy(np.ascontiguousarray(each[0])) for each in (cleaned, sigma, noise)))
    return process(rows, net.recipe)[:2].numpy()


def title_of(result: SpectrumResult) -> str:
    """Name a spectrum for a reader: the object, the coadd or which visit, and the S/N."""
    snr = result.record.snr
    return f"{result.record.star.obj}, {spectrum_name(result)}" + (f", S/N {snr:.0f}" if np.isfinite(snr) else "")
