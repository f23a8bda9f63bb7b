"""Check and time the kernels of the Triton engine one by one, on a GPU or in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.reference import process, realisations
from apnet_fast.engines.tile_network import PADS, TileNetwork
from apnet_fast.engines.tile_queue import on
from apnet_fast.kernels.activations import Activations
from apnet_fast.kernels.conv import clean_conv, draw_conv
from apnet_fast.kernels.halves import clean_halves, product
from apnet_fast.kernels.naive import naive_elu_difference, naive_pool, naive_stem, naive_sums
from apnet_fast.kernels.pool import pool
from apnet_fast.kernels.stem import SCRATCH_LEAD, StemInput, clean_stem, draw_stem, joint_limit, pitch_of
from apnet_fast.kernels.timing import Work
from apnet_fast.networks.folding import FoldedV3
from apnet_fast.recipes import Recipe
from apnet_fast.recipes.noise import normals


@dataclass(frozen=True)
class Tile:
    """Spectra on the device as `TileNetwork.compute` takes them, and where its outputs go."""

    flux: Tensor
    error: Tensor
    keys: Tensor
    outputs: Tensor


def tile_of(network: TileNetwork, flux: np.ndarray, error: np.ndarray, keys: np.ndarray) -> Tile:
    """Put spectra, float32 (n, pixels) as read, on the network's device."""
    device, n, pitch = network.device, len(flux), pitch_of(network.pixels)
    padded = [torch.zeros(n, pitch, device=device) for _ in range(2)]
    for buffer, values in zip(padded, (flux, error), strict=True):
        buffer[:, : network.pixels] = torch.from_numpy(values).to(device)
    outputs = torch.full((n, 1 + network.draws, 3), float("nan"), device=device)
    return Tile(*padded, torch.from_numpy(keys).to(device), outputs)


def kernel_errors(
    network: TileNetwork, folded: FoldedV3, recipe: Recipe, flux: np.ndarray, error: np.ndarray, keys: np.ndarray
) -> dict[str, float]:
    """Return the largest relative error of each kernel against its twin in float64, on the kernel's own input.

    The first, the middle and the last clean spectrum are checked, and the first, the middle and the last draw of the
    first, the middle and the last group of draws. flux, error: float32 (tile, pixels) as read.
    """
    tile = tile_of(network, flux, error, keys)
    _poison(network)
    with on(network.device):
        network.compute(tile.flux, tile.error, tile.keys, tile.outputs, network.spectra)
        if network.device.type == "cuda":
            torch.cuda.synchronize(network.device)
        errors: dict[str, float] = {}
        for name, got, twin in _comparisons(network, folded, recipe, (flux, error, keys), tile):
            off = float((got.double().cpu() - twin.double().cpu()).norm() / twin.double().norm())
            errors[name] = max(errors.get(name, 0.0), off if off == off else float("inf"))
        return errors


def _poison(network: TileNetwork) -> None:
    """Fill what kernels write with NaN, so that what a kernel leaves out shows."""
    _poison_group(network)
    for buffer in (*network.clean_inputs, *network.clean_middles, network.inputs[0]):
        buffer.rows()[:, :, : network.length] = float("nan")
    for z in (*(z for block in network.sums for z in block), network.first_clean, network.features):
        z.fill_(float("nan"))


def _poison_group(network: TileNetwork) -> None:
    for buffer in (*network.inputs[1:], *network.middles):
        buffer.rows()[:, :, : network.length] = float("nan")


def _spread(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1})


def _values(buffer: Activations, segment: int, length: int) -> Tensor:
    """Return the values of a segment, (1, length, channels) in float64 on the CPU."""
    return buffer.rows()[:, segment : segment + 1, :length].double().sum(dim=0).cpu()


def _comparisons(
    network: TileNetwork,
    folded: FoldedV3,
    recipe: Recipe,
    given: tuple[np.ndarray, np.ndarray, np.ndarray],
    tile: Tile,
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield name, kernel's output and twin's output of every check."""
    yield from _first_activations(network, recipe, given)
    yield from _clean_layers(network, folded)
    if network.draws:
        yield from _draw_layers(network, folded)
    yield from _linear_layers(network, folded, tile)


def _first_activations(
    network: TileNetwork, recipe: Recipe, given: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    weight, bias = (x.double().cpu() for x in (network.stem_weight, network.stem_map))
    inside = slice(SCRATCH_LEAD, SCRATCH_LEAD + network.pixels)
    for spectrum in _spread(network.spectra):
        flux, error = recipe.clean_up(*(x[spectrum : spectrum + 1] for x in given[:2]))
        noise = normals(given[2][spectrum : spectrum + 1], network.draws, network.pixels)[0]
        rows = process(realisations(*(torch.from_numpy(x[0]) for x in (flux, error)), torch.from_numpy(noise)), recipe)
        clean = network.clean_scratch[spectrum : spectrum + 1, inside].cpu()
        first = spectrum * network.draws
        draws = network.scratch[first : first + network.draws, inside].cpu()
        yield "noise, floor, log, clip", torch.cat([clean, draws]), rows
        twin = naive_stem(torch.cat([clean, draws]).double(), weight, bias)
        yield "stem clean", network.first_clean[spectrum : spectrum + 1].cpu(), twin[:1]
        yield "stem clean, halves", _values(network.clean_inputs[0], spectrum, network.length), twin[:1]
        if network.draws:
            last = first + network.draws - 1
            yield "stem", _values(network.inputs[0], last, network.length), twin[-1:] - twin[:1]


def _clean_layers(network: TileNetwork, folded: FoldedV3) -> Iterator[tuple[str, Tensor, Tensor]]:
    length = network.length
    for i, (first, second) in enumerate(folded.blocks):
        for spectrum in _spread(network.spectra):
            x = _values(network.clean_inputs[i], spectrum, length)
            middle = _values(network.clean_middles[i], spectrum, length + 1)
            y = _values(network.clean_inputs[i + 1], spectrum, length)
            z1, z2 = (z[spectrum : spectrum + 1].cpu() for z in network.sums[i])
            twin = naive_sums(x, first.weight, first.bias, PADS[0], length + 1)
            yield f"block {i} conv1 clean", z1[:, : length + 1], twin
            yield f"block {i} conv1 clean, halves", middle, functional.elu(twin)
            twin = naive_sums(middle, second.weight, second.bias, PADS[1], length, x)
            yield f"block {i} conv2 clean", z2[:, :length], twin
            yield f"block {i} conv2 clean, halves", y, functional.elu(twin)
    high, low = clean_halves(network.features, network.spectra)
    for spectrum in _spread(network.spectra):
        twin = naive_pool(_values(network.clean_inputs[-1], spectrum, length), network.pooled)
        yield "pool clean", (high[spectrum].double() + low[spectrum].double())[None].cpu(), twin


def _draw_layers(network: TileNetwork, folded: FoldedV3) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the checks of the first, the middle and the last group of draws.

    A group overwrites the activations of the one before, so each is computed again, from the draws that the stem has
    left. The features are those of the tile.
    """
    length, all_draws, of_a_group = network.length, network.spectra * network.draws, network.group_rows
    features = network.features.clone()
    for group in _spread(-(-all_draws // of_a_group)):
        start = group * of_a_group
        _poison_group(network)
        network.compute_group(start)
        for row in _spread(min(of_a_group, all_draws - start)):
            spectrum = (start + row) // network.draws
            x = _values(network.inputs[0], start + row, length)
            for i, (first, second) in enumerate(folded.blocks):
                middle, y = (_values(b[j], row, length + 1) for b, j in ((network.middles, i), (network.inputs, i + 1)))
                z1, z2 = (z[spectrum : spectrum + 1].double().cpu() for z in network.sums[i])
                dz = naive_sums(x, first.weight, None, PADS[0], length + 1)
                yield f"block {i} conv1", middle, naive_elu_difference(z1[:, : length + 1], dz)
                dz = naive_sums(middle, second.weight, None, PADS[1], length, x)
                x = y[:, :length]
                yield f"block {i} conv2", x, naive_elu_difference(z2[:, :length], dz)
            yield "pool", features[start + row][None].cpu(), naive_pool(x, network.pooled)
    network.features.copy_(features)


def _linear_layers(network: TileNetwork, folded: FoldedV3, tile: Tile) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield the check of all linear layers together, in float64 on the device."""
    n = network.spectra
    high, low = clean_halves(network.features, n)
    clean = high.double() + low.double()
    x = torch.cat([clean[:, None], clean[:, None] + network.features[: -2 * n].double().unflatten(0, (n, -1))], dim=1)
    (weight, bias), *others = folded.linear
    weight = weight.view(len(weight), -1, network.pooled).transpose(1, 2).flatten(1)
    for i, (w, b) in enumerate(((weight, bias), *others)):
        x = functional.linear(x, w.to(x), b.to(x))
        if i < len(others):
            x = x.relu()
    yield "linear layers, clean", tile.outputs[:, 0], x[:, 0]
    if network.draws:
        yield "linear layers, draws", tile.outputs[:, 1:] - tile.outputs[:, :1], x[:, 1:] - x[:, :1]


@dataclass(frozen=True)
class KernelRun:
    """A kernel to time: useful operations and least traffic (bytes) of one launch, and how often a tile needs it."""

    name: str
    work: Work
    operations: int
    traffic: int
    launches: float


def kernel_runs(network: TileNetwork, tile: Tile) -> Iterator[KernelRun]:
    """Yield every kernel of the network on the buffers of a tile that was computed."""
    n, length, pixels = network.spectra, network.length, network.pixels
    draws, group = n * network.draws, network.group_rows
    groups = draws / group
    given = StemInput(tile.flux, tile.error, tile.keys, network.limits, network.stem_weight, network.stem_map)
    how, tuning = network.how, network.tuning

    def stem_of(rows: int) -> tuple[int, int]:
        return 2 * rows * 2 * length * 4 * 30, rows * (8 * pixels + 8 * length)

    yield KernelRun("clean-up", lambda i: network.clean_up(tile.flux, tile.error, pixels), 0, 16 * tile.flux.numel(), 1)
    first, x0 = network.first_clean, network.clean_inputs[0]
    yield KernelRun(
        "stem clean", lambda i: clean_stem(given, network.clean_scratch, first, x0, how, tuning.stem), *stem_of(n), 1
    )
    if network.values is not None:
        values = network.values
        # Written once and read five times.
        moved = 6 * values.numel() * values.element_size()
        yield KernelRun(
            "joint limit",
            lambda i: joint_limit(tile.flux, tile.error, tile.keys, network.limits, values, how, tuning.joint),
            0,
            moved,
            1,
        )
    yield KernelRun(
        "stem" if network.values is None else "stem joint",
        lambda i: draw_stem(given, network.scratch, first, network.inputs[0], network.draws, how, tuning.stem),
        *stem_of(draws),
        1,
    )
    for i, filters in enumerate(network.blocks):
        for j, filter in enumerate(filters):
            filled = length + 1 - j
            name = f"{filter.c_in}-{filter.c_out}" + (" + residual" if j else "")
            kept = filters[0].c_in if j else 0
            z = network.sums[i][j]
            clean_x, clean_y = network.clean_inputs[i], network.clean_middles[i]
            if j:
                clean_x, clean_y = clean_y, network.clean_inputs[i + 1]
            clean_kept = network.clean_inputs[i] if j else None
            x = network.inputs[i].part(0, group)
            kept_x = x if j else None
            x, y = (network.middles[i], network.inputs[i + 1].part(0, group)) if j else (x, network.middles[i])

            def clean(_: int, a=clean_x, f=filter, z=z, y=clean_y, l=filled, r=clean_kept) -> None:  # type: ignore[no-untyped-def]  # noqa: E741
                clean_conv(a, f, z, y, l, tuning.clean, r)

            def draw(_: int, a=x, f=filter, z=z, y=y, l=filled, r=kept_x) -> None:  # type: ignore[no-untyped-def]  # noqa: E741
                draw_conv(a, f, z, y, l, first=0, draws=network.draws, residual=r)

            each = length * filter.c_in * filter.c_out * 30 * 2
            moved = length * (filter.c_in + filter.c_out + kept)
            yield KernelRun(f"conv clean {name}", clean, n * each, n * (4 * moved + 4 * length * filter.c_out), 1)
            yield KernelRun(f"conv {name}", draw, group * each, group * 2 * moved, groups)
    channels = network.inputs[-1].channels
    part = network.inputs[-1].part(0, group)
    yield KernelRun(
        "pool",
        lambda i: pool(part, network.features[:group], length, network.pooled, tuning.pool),
        0,
        2 * group * channels * (length + network.pooled),
        groups,
    )
    weight, features = network.linear[0].high, network.features
    yield KernelRun(
        "first linear layer",
        lambda i: product(features, weight),
        2 * len(features) * weight.numel(),
        2 * (weight.numel() + features.numel()),
        1,
    )
