"""`python -m benchmarks.precision INPUT... --weights W`: how far does fp16 move labels, in units of their raw error?

No GPU is needed. The kernels' plain torch twins compute on the CPU as the Triton engine does, with clean spectra in
halves, draws as differences from them, and rounding to fp16 wherever the engine stores fp16. They are compared with
the CPU engine, in fp32 and with the same noise. `--stars N --snr S...` takes simulated stars in place of files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.cpu import CpuEngine
from apnet_fast.engines.reference import process, realisations
from apnet_fast.kernels.halves import split
from apnet_fast.kernels.naive import naive_elu_difference, naive_pool, naive_stem
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedV3, fold_v3
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


def _linear(network: FoldedV3) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of the linear layers; the first follows pooled activations, position-major."""
    (weight, bias), *others = network.linear
    return [(weight.view(len(weight), -1, network.pool).transpose(1, 2).flatten(1), bias), *others]


class FourierFilter:
    """A filter, fp32 (C_out, C_in, taps), to convolve in blocks by overlap-save: `naive_sums` at a third of its time.

    The error is that of fp32.
    """

    _BLOCK = 256

    def __init__(self, weight: Tensor) -> None:
        self._taps = weight.shape[-1]
        self._spectra = torch.fft.rfft(weight.flip(-1), self._BLOCK).permute(2, 1, 0).contiguous()

    def sums(self, x: Tensor, pad: int, length: int, residual: Tensor | None = None) -> Tensor:
        """Return conv(x) + residual; shapes as in `naive_sums`."""
        rows, channels = len(x), self._spectra.shape[2]
        step = self._BLOCK - self._taps + 1
        blocks = -(-length // step)
        right = blocks * step + self._taps - 1 - pad - x.shape[1]
        windows = functional.pad(x, (0, 0, pad, right)).unfold(1, self._BLOCK, step)
        given = torch.fft.rfft(windows).permute(3, 0, 1, 2).reshape(len(self._spectra), rows * blocks, -1)
        y = torch.fft.irfft(torch.bmm(given, self._spectra), self._BLOCK, dim=0)[self._taps - 1 :]
        y = y.view(step, rows, blocks, channels).permute(1, 2, 0, 3).reshape(rows, blocks * step, channels)[:, :length]
        if residual is not None:
            before = (channels - residual.shape[-1]) // 2
            y[..., before : before + residual.shape[-1]] += residual
        return y


class Half:
    """The network as the Triton engine computes it."""

    def __init__(self, network: FoldedV3) -> None:
        self._first = (network.first.weight[:, 0].float(), network.first.bias.float())
        self._blocks = [[_Conv(conv.weight, conv.bias) for conv in block] for block in network.blocks]
        self._pool, self._linear = network.pool, [_Layer(*layer) for layer in _linear(network)]

    @torch.inference_mode()
    def outputs(self, log_flux: Tensor) -> Tensor:
        """Return network outputs (rows, 3) of (rows, pixels); row 0 is a clean spectrum, the others are its draws."""
        x = naive_stem(log_flux, *self._first)
        rows = _in_halves(x[:1]), _rounded(x[1:] - x[:1])
        length = x.shape[1]
        for first, second in self._blocks:
            rows = second.activations(first.activations(rows, 15, length + 1), 14, length, rows)
        clean, draws = rows
        clean, draws = _in_halves(naive_pool(clean, self._pool)), _rounded(naive_pool(draws, self._pool))
        *layers, last = self._linear
        for layer in layers:
            z, dz = layer.sums(clean, draws)
            clean, draws = _in_halves(z.relu()), _rounded((z + dz).relu() - z.relu())
        z, dz = last.sums(clean, draws)
        return torch.cat([z, z + dz])


class _Layer:
    """A linear layer of a clean spectrum and of its draws' differences from it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._clean, self._draws, self._bias = _in_halves(weight), _rounded(weight), bias
        self._rest = _rounded(self._clean - self._draws)

    def sums(self, clean: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and dz; the draws' mean meets what rounding took from the weights."""
        rest = functional.linear(_rounded(draws.mean(dim=0, keepdim=True)), self._rest)
        return functional.linear(clean, self._clean, self._bias), functional.linear(draws, self._draws) + rest


class _Conv:
    """A convolution of a clean spectrum, and of its draws' differences from it, followed by ELU."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._clean, self._draws = FourierFilter(_in_halves(weight)), FourierFilter(_rounded(weight))
        self._bias = bias.float()

    def activations(
        self, rows: tuple[Tensor, Tensor], pad: int, length: int, residual: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        kept_clean, kept_draws = residual or (None, None)
        z = self._clean.sums(rows[0], pad, length, kept_clean) + self._bias
        dz = self._draws.sums(rows[1], pad, length, kept_draws)
        return _in_halves(functional.elu(z)), _rounded(naive_elu_difference(z, dz))


def label_shifts(
    checkpoint: Checkpoint,
    flux: np.ndarray,
    error: np.ndarray,
    ids: list[str],
    draws: int,
    recipe: Recipe = RECIPES["dr19"],
) -> Iterator[np.ndarray]:
    """Yield how far fp16 moves each spectrum's labels, over the std of their draws in fp32.

    flux, error: float32 (n, pixels) as read; ids key the noise. Each is (2, 3): of the clean label and of the draws'
    median, logg, log10 teff, fe_h.
    """
    keys, strict = noise_keys(0, ids), CpuEngine(checkpoint, recipe)
    network = Half(fold_v3(checkpoint, flux.shape[1]))
    for i in range(len(flux)):
        part = slice(i, i + 1)
        full = strict.predict(flux[part], error[part], keys[part], draws)
        noise = torch.from_numpy(normals(keys[part], draws, flux.shape[1])[0])
        cleaned = (torch.from_numpy(x[0]) for x in recipe.clean_up(flux[part], error[part]))
        rows = process(realisations(*cleaned, noise), recipe)
        half = checkpoint.scaling.unscale(network.outputs(rows)).double().numpy()
        moved = np.stack([half[0] - full.clean[0], np.median(half[1:], axis=0) - np.median(full.draws[0], axis=0)])
        yield np.abs(moved) / full.draws[0].std(axis=0, ddof=1)


@dataclass(frozen=True)
class Case:
    """Spectra whose labels are compared, and how: flux, error float32 (n, pixels) as read; ids key their noise."""

    weights: str
    recipe: str
    draws: int
    spectra: str
    flux: np.ndarray
    error: np.ndarray
    ids: list[str]

    @property
    def name(self) -> str:
        """What it is, unique in a file of results."""
        return f"{self.weights} weights, recipe {self.recipe}, {self.spectra}, {self.draws} draws"


def measure(case: Case, checkpoint: Checkpoint, kept: Path | None) -> np.ndarray:
    """Return `label_shifts` of a case, (n, 2, 3).

    kept: a file of JSON lines, one per spectrum; what it has is not done again, so that more stars may be asked for
    later.
    """
    known: dict[int, list[list[float]]] = {}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept is not None and kept.exists() else ():
        row = json.loads(line)
        if row["case"] == case.name and [row["id"]] == case.ids[row["number"] : row["number"] + 1]:
            known[row["number"]] = row["shift"]
    left = [i for i in range(len(case.ids)) if i not in known]
    ids = [case.ids[i] for i in left]
    found = label_shifts(checkpoint, case.flux[left], case.error[left], ids, case.draws, RECIPES[case.recipe])
    for i, moved in zip(left, found, strict=True):
        known[i] = moved.tolist()
        if kept is not None:
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"case": case.name, "number": i, "id": case.ids[i], "shift": known[i]}) + "\n")
    return np.array([known[i] for i in range(len(case.ids))])


def summary(moved: np.ndarray) -> dict[str, Any]:
    """Return what is said of the shifts (n, 2, 3) of a case. worst: a spectrum's label that moves most."""
    worst = moved.max(axis=(1, 2))
    return {
        "spectra": len(moved),
        "median_of_worst": _short(np.median(worst)),
        "largest": _short(worst.max()),
        "largest_clean": dict(zip(NAMES, map(_short, moved[:, 0].max(axis=0)), strict=True)),
        "largest_median": dict(zip(NAMES, map(_short, moved[:, 1].max(axis=0)), strict=True)),
        "share_within": _short((worst < SHIFT).mean()),
        "limit": SHIFT,
    }


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def report(moved: np.ndarray) -> None:
    """Print the shifts of `label_shifts`."""
    found = summary(moved)
    for j, name in enumerate(NAMES):
        print(
            f"  {name:10}  draws' median: median {np.median(moved[:, 1, j]):.4f}, largest {moved[:, 1, j].max():.4f};"
            f"  clean: median {np.median(moved[:, 0, j]):.4f}, largest {moved[:, 0, j].max():.4f}"
        )
    print(
        f"  {found['spectra']} spectra, largest shift {found['largest']:.4f};"
        f" {100 * found['share_within']:.2f} % within {SHIFT} in all labels (wanted: {100 * SHARE:.1f} %)",
        flush=True,
    )


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    from apnet_fast.inputs.words import resolve_inputs
    from apnet_fast.simulate import observed_arrays
    from apnet_fast.spectra import concatenate, read_apstar

    if options.stars:
        for snr in options.snr:
            flux, error, _ = observed_arrays(options.stars, seed=99, snr=snr)
            ids = [str(i) for i in range(options.stars)]
            for recipe in options.recipe:
                yield Case(options.weights, recipe, options.draws, f"simulated stars, S/N {snr:g}", flux, error, ids)
        return
    batch = concatenate([read_apstar(path) for path in resolve_inputs(options.inputs).files])
    usable = batch.usable
    ids = [record.identity for record, ok in zip(batch.records, usable, strict=True) if ok]
    flux, error = batch.flux[usable], batch.error[usable]
    for recipe in options.recipe:
        yield Case(options.weights, recipe, options.draws, "spectra of files", flux, error, ids)


def main() -> int:
    """Read or simulate spectra, compare, print. Exit status 1 if too many labels move too far."""
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.networks.shipped import weights_path

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", help="apStar files, folders, @lists")
    parser.add_argument("--weights", required=True, help="a weights file, demo, or random")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--recipe", choices=sorted(RECIPES), nargs="+", default=["dr19"])
    parser.add_argument("--stars", type=int, help="simulated stars in place of files")
    parser.add_argument("--snr", type=float, nargs="+", default=[100.0], help="their signal-to-noise ratios")
    parser.add_argument(
        "--json",
        type=Path,
        help="add the results to this file; one spectrum after the other is kept"
        " beside it, so that the same command goes on after a stop",
    )
    options = parser.parse_args()
    if bool(options.inputs) == bool(options.stars):
        parser.error("give either files or --stars")
    if options.weights == "random":
        checkpoint = random_checkpoint(seed=0, network="v3")
    else:
        checkpoint = load_checkpoint(weights_path(options.weights))
    kept = options.json.with_suffix(".rows") if options.json else None
    good = True
    for case in _cases(options):
        print(f"{case.name}: shift of the label over its raw error, fp16 against fp32", flush=True)
        moved = measure(case, checkpoint, kept)
        report(moved)
        good &= summary(moved)["share_within"] >= SHARE
        if options.json:
            _add(options.json, case, moved)
    return 0 if good else 1


def _add(path: Path, case: Case, moved: np.ndarray) -> None:
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results[case.name] = summary(moved)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
