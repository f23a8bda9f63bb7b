"""`python -m benchmarks.precision INPUT... --weights W`: how far does fp16 move labels, in units of their raw error?

Without a GPU: the kernels' plain torch twins on the CPU, with weights and activations rounded to fp16 wherever the
Triton engine stores them, against the same in fp32. Recipe dr19, same noise for both.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.reference import process, realisations
from apnet_fast.kernels.halves import diffused
from apnet_fast.kernels.naive import naive_conv, naive_pool, naive_stem
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys, normals

SHIFT, SHARE = 0.05, 0.999
_RECIPE = RECIPES["dr19"]


@torch.inference_mode()
def outputs(checkpoint: Checkpoint, log_flux: Tensor, halves: bool) -> Tensor:
    """Labels (rows, 3) of processed spectra (rows, pixels), in fp32, or in fp16 wherever the Triton engine has it."""

    def store(x: Tensor) -> Tensor:
        return x.half().float() if halves else x.float()

    def filters(weight: Tensor, dim: int = 2) -> Tensor:
        return diffused(weight, dim).float() if halves else weight.float()

    network = fold_v3(checkpoint, log_flux.shape[1])
    length = (log_flux.shape[1] + 1) // 2
    # Stored in two halves: 22 bits.
    x = naive_stem(log_flux, network.first.weight[:, 0].float(), network.first.bias.float())
    for first, second in network.blocks:
        middle = store(naive_conv(x, filters(first.weight), first.bias.float(), 15, length + 1))
        x = store(naive_conv(middle, filters(second.weight), second.bias.float(), 14, length, x))
    x = store(naive_pool(x, network.pool))
    (weight, bias), *more, last = network.linear
    channels = weight.shape[1] // network.pool
    weight = filters(weight.view(len(weight), channels, network.pool).transpose(1, 2), dim=1).flatten(1)
    x = functional.relu(functional.linear(x, weight, bias.float()))
    # From here on the engine computes with 22 bits or more.
    for w, b in more:
        x = functional.relu(functional.linear(x, w.float(), b.float()))
    return checkpoint.scaling.unscale(functional.linear(x, *(value.float() for value in last)))


def label_shift(checkpoint: Checkpoint, flux: np.ndarray, error: np.ndarray, ids: list[str], draws: int) -> np.ndarray:
    """(n, 3): how far fp16 moves the median of the draws of logg, log10 teff, fe_h, over their std in fp32.

    flux, error: float32 (n, pixels) as read.
    """
    flux, error = _RECIPE.clean_up(flux, error)
    keys = noise_keys(0, ids)
    moved = np.empty((len(flux), 3))
    for i in range(len(flux)):
        noise = torch.from_numpy(normals(keys[i : i + 1], draws, flux.shape[1])[0])
        rows = process(realisations(torch.from_numpy(flux[i]), torch.from_numpy(error[i]), noise), _RECIPE)[1:]
        full, half = (outputs(checkpoint, rows, halves).double().numpy() for halves in (False, True))
        moved[i] = np.abs(np.median(half, axis=0) - np.median(full, axis=0)) / full.std(axis=0, ddof=1)
    return moved


def main() -> None:
    """Read spectra, compare, print."""
    from apnet_fast.inputs.words import resolve_inputs
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.shipped import weights_path
    from apnet_fast.spectra import concatenate, read_apstar

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", help="apStar files, folders, @lists")
    parser.add_argument("--weights", required=True, help="a weights file, or demo")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    batch = concatenate([read_apstar(path) for path in resolve_inputs(options.inputs).files])
    usable = batch.usable
    ids = [record.identity for record, ok in zip(batch.records, usable, strict=True) if ok]
    moved = label_shift(
        load_checkpoint(weights_path(options.weights)), batch.flux[usable], batch.error[usable], ids, options.draws
    )
    within = (moved.max(axis=1) < SHIFT).mean()
    print(f"{len(moved)} spectra, {options.draws} draws; shift of the median over the raw error, fp16 against fp32:")
    for j, name in enumerate(("logg", "log10 teff", "fe_h")):
        print(f"  {name:10}  median {np.median(moved[:, j]):.4f}  largest {moved[:, j].max():.4f}")
    print(f"{100 * within:.1f} % of spectra within {SHIFT} in all three labels (wanted: {100 * SHARE:.1f} %)")


if __name__ == "__main__":
    main()
