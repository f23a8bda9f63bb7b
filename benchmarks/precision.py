"""`python -m benchmarks.precision INPUT... --weights W`: how far does fp16 move labels, in units of their raw error?

No GPU is needed. The kernels' plain torch twins run on the CPU: once in fp32, and once as the Triton engine computes,
with clean spectra in halves, draws as differences from them, and rounding to fp16 wherever the engine stores fp16.
Both use the same noise. `--stars N --snr S...` takes simulated stars in place of files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.reference import process, realisations
from apnet_fast.kernels.halves import split
from apnet_fast.kernels.naive import naive_elu_difference, naive_pool, naive_stem, naive_sums
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedConv, FoldedV3, fold_v3
from apnet_fast.recipes import RECIPES, Recipe
from apnet_fast.recipes.noise import noise_keys, normals

SHIFT, SHARE = 0.05, 0.999
NAMES = ("logg", "log10 teff", "fe_h")


def _rounded(x: Tensor) -> Tensor:
    return x.half().float()


def _in_halves(x: Tensor) -> Tensor:
    """Round to the sum of two fp16 numbers."""
    high, low = split(x.float())
    return high.float() + low.float()


def _linear(network: FoldedV3) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weight and bias of the linear layers; the first follows pooled activations, position-major."""
    (weight, bias), *others = network.linear
    yield weight.view(len(weight), -1, network.pool).transpose(1, 2).flatten(1), bias
    yield from others


def _first(network: FoldedV3, log_flux: Tensor) -> Tensor:
    return naive_stem(log_flux, network.first.weight[:, 0].float(), network.first.bias.float())


@torch.inference_mode()
def full_outputs(network: FoldedV3, log_flux: Tensor) -> Tensor:
    """Return network outputs (rows, 3) of processed spectra (rows, pixels) in fp32."""
    x = _first(network, log_flux)
    length = x.shape[1]
    for first, second in network.blocks:
        middle = functional.elu(naive_sums(x, first.weight.float(), first.bias.float(), 15, length + 1))
        x = functional.elu(naive_sums(middle, second.weight.float(), second.bias.float(), 14, length, x))
    x = naive_pool(x, network.pool)
    *layers, (weight, bias) = _linear(network)
    for w, b in layers:
        x = functional.relu(functional.linear(x, w, b))
    return functional.linear(x, weight, bias)


@torch.inference_mode()
def half_outputs(network: FoldedV3, log_flux: Tensor) -> Tensor:
    """Return outputs as the Triton engine computes them; row 0 is the clean spectrum, the others are its draws."""
    x = _first(network, log_flux)
    clean, draws = _in_halves(x[:1]), _rounded(x[1:] - x[:1])
    length = x.shape[1]

    def conv(layer: FoldedConv, pad: int, given: tuple[Tensor, Tensor], more: tuple[Tensor, Tensor] | None = None):  # type: ignore[no-untyped-def]
        filled = length + 1 if pad == 15 else length
        kept = (None, None) if more is None else more
        z = naive_sums(given[0], _in_halves(layer.weight), layer.bias.float(), pad, filled, kept[0])
        dz = naive_sums(given[1], _rounded(layer.weight), None, pad, filled, kept[1])
        return _in_halves(functional.elu(z)), _rounded(naive_elu_difference(z, dz))

    for first, second in network.blocks:
        clean, draws = conv(second, 14, conv(first, 15, (clean, draws)), (clean, draws))
    clean, draws = _in_halves(naive_pool(clean, network.pool)), _rounded(naive_pool(draws, network.pool))
    *layers, (weight, bias) = _linear(network)
    for w, b in layers:
        z, dz = functional.linear(clean, _in_halves(w), b), functional.linear(draws, _rounded(w))
        clean, draws = _in_halves(z.relu()), _rounded((z + dz).relu() - z.relu())
    z, dz = functional.linear(clean, _in_halves(weight), bias), functional.linear(draws, _rounded(weight))
    return torch.cat([z, z + dz])


def label_shift(
    checkpoint: Checkpoint,
    flux: np.ndarray,
    error: np.ndarray,
    ids: list[str],
    draws: int,
    recipe: Recipe = RECIPES["dr19"],
) -> np.ndarray:
    """Return how far fp16 moves logg, log10 teff, fe_h, (n, 3), over the std of their draws in fp32.

    That is the larger of the shifts of the draws' median and of the clean label. flux, error: float32 (n, pixels) as
    read.
    """
    flux, error = recipe.clean_up(flux, error)
    keys = noise_keys(0, ids)
    network = fold_v3(checkpoint, flux.shape[1])
    moved = np.empty((len(flux), 3))
    for i in range(len(flux)):
        noise = torch.from_numpy(normals(keys[i : i + 1], draws, flux.shape[1])[0])
        rows = process(realisations(torch.from_numpy(flux[i]), torch.from_numpy(error[i]), noise), recipe)
        full, half = (
            checkpoint.scaling.unscale(outputs(network, rows)).double().numpy()
            for outputs in (full_outputs, half_outputs)
        )
        clean, median = np.abs(half[0] - full[0]), np.abs(np.median(half[1:], axis=0) - np.median(full[1:], axis=0))
        moved[i] = np.maximum(clean, median) / full[1:].std(axis=0, ddof=1)
    return moved


def report(moved: np.ndarray, draws: int) -> None:
    """Print the shifts of `label_shift`."""
    within = (moved.max(axis=1) < SHIFT).mean()
    print(f"{len(moved)} spectra, {draws} draws; shift of the label over its raw error, fp16 against fp32:")
    for j, name in enumerate(NAMES):
        print(f"  {name:10}  median {np.median(moved[:, j]):.4f}  largest {moved[:, j].max():.4f}")
    print(f"{100 * within:.1f} % of spectra within {SHIFT} in all three labels (wanted: {100 * SHARE:.1f} %)")


def main() -> None:
    """Read or simulate spectra, compare, print."""
    from apnet_fast.inputs.words import resolve_inputs
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.networks.shipped import weights_path
    from apnet_fast.simulate import observed_arrays
    from apnet_fast.spectra import concatenate, read_apstar

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", help="apStar files, folders, @lists")
    parser.add_argument("--weights", required=True, help="a weights file, demo, or random")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="dr19")
    parser.add_argument("--stars", type=int, help="simulated stars in place of files")
    parser.add_argument("--snr", type=float, nargs="+", default=[100.0], help="their signal-to-noise ratios")
    options = parser.parse_args()
    if bool(options.inputs) == bool(options.stars):
        parser.error("give either files or --stars")
    if options.weights == "random":
        checkpoint = random_checkpoint()
    else:
        checkpoint = load_checkpoint(weights_path(options.weights))
    recipe = RECIPES[options.recipe]
    if options.stars:
        for snr in options.snr:
            flux, error, _ = observed_arrays(options.stars, seed=99, snr=snr)
            print(f"simulated stars, S/N {snr:g}")
            ids = [str(i) for i in range(options.stars)]
            report(label_shift(checkpoint, flux, error, ids, options.draws, recipe), options.draws)
        return
    batch = concatenate([read_apstar(path) for path in resolve_inputs(options.inputs).files])
    usable = batch.usable
    ids = [record.identity for record, ok in zip(batch.records, usable, strict=True) if ok]
    moved = label_shift(checkpoint, batch.flux[usable], batch.error[usable], ids, options.draws, recipe)
    report(moved, options.draws)


if __name__ == "__main__":
    main()
