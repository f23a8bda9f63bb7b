"""A literal evaluation of the recipes of ApogeeNet v2 and v1, written from the published description: float32 torch
operations on a state_dict, one spectrum at a time. It shares nothing with the package but the normals it is given.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, linear, max_pool1d, relu

V2_MEAN = [2.925783395767212, 3.6705732345581055, -0.13088105618953705]
V2_STD = [1.1890668869018555, 0.0917675793170929, 0.25668784976005554]
V1_MEAN = np.array([2.880541250669337, 4716.915128138449, -0.22329606176144642])
V1_STD = np.array([1.1648147820369943, 733.0099523547299, 0.3004270650813916])
PHOT_MEAN = [-0.69591, 13.63003, 14.52244, 12.83245, 11.53702, 10.85872, 10.70211]
PHOT_STD = [14.57243, 2.27629, 2.83420, 2.13688, 1.67936, 1.48881, 1.58487]
PLACEHOLDER = [-84.827, 21.40844, 24.53892, 20.26276, 18.439, 24.0, 17.025]


def network_input(photometry: np.ndarray, *, astra: bool) -> np.ndarray:
    """Normalised photometry (7,), placeholders for what is missing."""
    out = []
    for value, mean, std, placeholder in zip(photometry, PHOT_MEAN, PHOT_STD, PLACEHOLDER, strict=True):
        good = np.isfinite(value) and value < 98 and (value > -1 or not astra)
        out.append(((value if good else placeholder) - mean) / std)
    return np.array(out, dtype=np.float32)


def forward(state: Mapping[str, Tensor], flux: Tensor, metadata: Tensor | None) -> Tensor:
    """Raw outputs (rows, 3) for flux (rows, 8575) and normalised photometry (7,)."""
    x = flux[:, None]
    for number in range(1, 13):
        x = relu(conv1d(x, state[f"conv{number}.weight"], state[f"conv{number}.bias"], padding=1))
        if number in (2, 4, 6, 8, 10, 12):
            x = max_pool1d(x, 2)
    x = x.reshape(len(x), -1)
    if metadata is not None:
        m = metadata[None]
        for number in range(1, 1 + sum(key.startswith("metadata") for key in state) // 2):
            m = relu(linear(m, state[f"metadata.l{number}.weight"], state[f"metadata.l{number}.bias"]))
        x = torch.hstack([x, m.repeat(len(x), 1)])
    x = relu(linear(x, state["fc1.weight"], state["fc1.bias"]))
    x = relu(linear(x, state["fc2.weight"], state["fc2.bias"]))
    return linear(x, state["fc3.weight"], state["fc3.bias"])


def astra_v2_error(error: np.ndarray) -> np.ndarray:
    """Error -> ivar -> error of one spectrum, and what `apogeenet_v2` makes of it."""
    with np.errstate(all="ignore"):
        ivar = error.astype(np.float64) ** -2
        ivar[~np.isfinite(ivar)] = 0
        sigma = np.nan_to_num(ivar**-0.5).astype(np.float32)
    limit = 5 * np.median(sigma)
    sigma[(sigma == 1e10) | (sigma >= limit)] = limit
    return sigma


def flux_error(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """1e10 becomes the flux, then everything at or above 5 x torch's median becomes that."""
    limit = 5 * torch.median(torch.from_numpy(error)).item()
    sigma = np.where(error == 1e10, flux, error)
    return np.where(sigma >= limit, limit, sigma).astype(np.float32)


def astra_2020(flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flux and error of one spectrum as the first ApogeeNet in Astra had them."""
    flux, error = flux.copy(), error.copy()
    flux[~np.isfinite(flux)] = np.nan
    bad = ~np.isfinite(flux) | ~np.isfinite(error) | (error == 0)
    flux[bad] = np.nanmedian(flux)
    error[bad] = 1e10
    return flux, flux_error(flux, error)


def evaluate(
    network: str,
    recipe: str,
    state: Mapping[str, Tensor],
    flux: np.ndarray,
    error: np.ndarray,
    noise: np.ndarray,
    photometry: np.ndarray,
) -> dict[str, float]:
    """Labels and raw errors of one spectrum, with the given normals (draws, pixels)."""
    metadata = None
    if network == "v1":
        flux, sigma = astra_2020(flux, error)
    elif recipe == "apogeenet-2":
        flux = np.nan_to_num(flux)
        sigma = flux_error(flux, np.nan_to_num(error))
        metadata = torch.from_numpy(network_input(photometry, astra=False))
    else:
        flux, sigma = np.nan_to_num(flux), astra_v2_error(error)
        metadata = torch.from_numpy(network_input(photometry, astra=True))
    drawn = torch.from_numpy(noise) * torch.from_numpy(sigma) + torch.from_numpy(flux)
    if network == "v1":
        drawn[0] = torch.from_numpy(flux)
        labels = forward(state, drawn, None).numpy() * V1_STD + V1_MEAN
        reported, spread = labels.mean(axis=0), labels.std(axis=0, ddof=1)
        return _named(reported, spread, np.median(labels, axis=0))
    clean = (forward(state, torch.from_numpy(flux)[None], metadata)[0] * torch.tensor(V2_STD)) + torch.tensor(V2_MEAN)
    labels = forward(state, drawn, metadata) * torch.tensor(V2_STD) + torch.tensor(V2_MEAN)
    if recipe == "apogeenet-2":
        middle = torch.median(labels, dim=0).values.double().numpy()
        spread = torch.std(labels.double(), dim=0).numpy()
        reported = clean.double().numpy()
        reported[1], middle[1] = 10 ** reported[1], 10 ** middle[1]
        spread[1] *= reported[1] * np.log(10)
        return _named(reported, spread, middle)
    values, reported = labels.double().numpy(), clean.double().numpy()
    values[:, 1], reported[1] = 10 ** values[:, 1], 10 ** reported[1]
    if recipe == "dr19":
        return _named(np.median(values, axis=0), np.std(values, axis=0, ddof=1), np.median(values, axis=0))
    return _named(reported, np.nanstd(values, axis=0), np.nanmedian(values, axis=0))


def _named(reported: np.ndarray, spread: np.ndarray, median: np.ndarray) -> dict[str, float]:
    out = {}
    for i, name in enumerate(("logg", "teff", "fe_h")):
        out |= {name: reported[i], f"raw_e_{name}": spread[i], f"{name}_sample_median": median[i]}
    return out
