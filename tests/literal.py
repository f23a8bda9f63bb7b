"""A second, literal evaluation of the recipes, written from the published description and sharing no code
with the package but the network module and the normals: float32 torch, one spectrum at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

MEAN = torch.tensor([3.2, 3.7, -0.2])
STD = torch.tensor([1.2, 0.1, 0.3])


def astra_error(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Error -> ivar -> error as Astra 0.6.0 does on float64 arrays of one spectrum."""
    with np.errstate(all="ignore"):
        ivar = error.astype(np.float64) ** -2
        ivar[~np.isfinite(ivar)] = 0.0
        default = 0.1 * np.median(np.nan_to_num(flux, nan=0.0).astype(np.float32))
        out = (1 / np.nan_to_num(ivar)) ** 0.5
        if np.all(np.isinf(out)):
            out[:] = default
        limit = 5 * np.nanmedian(out[out != np.inf])
        out = np.minimum(out, limit)
        out[np.isnan(out)] = limit
    return out.astype(np.float32)


def log_clip(flux: torch.Tensor, above: float) -> torch.Tensor:
    """ln(max(flux, 1e-6)) clipped at one 95th percentile of all its values plus `above`."""
    x = torch.log(torch.maximum(flux, torch.tensor(1e-6)))
    return torch.minimum(x, torch.quantile(x, 0.95) + above)


def forward(network: nn.Module, x: torch.Tensor) -> np.ndarray:
    """Labels (rows, 3): logg, log10 teff, fe_h."""
    with torch.inference_mode():
        return (network(x[:, None, :]) * STD + MEAN).numpy()


def evaluate(recipe: str, network: nn.Module, flux: np.ndarray, error: np.ndarray, noise: np.ndarray) -> dict:
    """Labels and raw errors of one spectrum, with the given normals (draws, pixels)."""
    if recipe == "bossnet-2":
        clean = torch.from_numpy(np.nan_to_num(flux, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32))
        sigma = torch.from_numpy(np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32))
    else:
        clean = torch.from_numpy(np.nan_to_num(flux, nan=0.0).astype(np.float32))
        sigma = torch.from_numpy(astra_error(flux, error))
    drawn = clean + sigma * torch.from_numpy(noise)
    above = 0.0 if recipe == "dr19" else 1.0
    best = forward(network, log_clip(clean[None], above))[0]
    if recipe == "astra-0.6":
        labels = forward(network, log_clip(drawn, above))
    else:
        labels = forward(network, torch.cat([log_clip(row[None], above) for row in drawn]))
    log_teff = labels[:, 1].astype(np.float64)
    std = np.std(labels.astype(np.float64), axis=0, ddof=1)
    if recipe == "dr19":
        return {
            "teff": np.median(10**log_teff),
            "logg": np.median(labels[:, 0]),
            "fe_h": np.median(labels[:, 2]),
            "raw_e_teff": np.std(10**log_teff, ddof=1),
            "raw_e_logg": std[0],
            "raw_e_fe_h": std[2],
        }
    teff = 10 ** float(best[1])
    return {
        "teff": teff,
        "logg": best[0],
        "fe_h": best[2],
        "raw_e_teff": teff * std[1] * np.log(10),
        "raw_e_logg": std[0],
        "raw_e_fe_h": std[2],
    }
