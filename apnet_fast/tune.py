"""`python -m apnet_fast.tune`: measure a GPU and write its tuning table.

Every candidate is checked against the kernel's twin before it is timed. Review the table and put it into
kernels/tuning/ under the architecture's name. Nothing is ever tuned during a run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apnet_fast.support.console import run_app

if TYPE_CHECKING:
    import torch

    from apnet_fast.kernels.conv import ConvConfig
    from apnet_fast.kernels.naive import naive_conv
    from apnet_fast.kernels.tuning import Tuning

app = typer.Typer(add_completion=False)

# C_in, C_out, left padding and channels of the residual of the convs of the survey's network. The first conv of the
# first block is 8-8 too: its 4 channels come as two halves each.
CONVS = (
    (8, 8, 14, 4),
    (8, 16, 15, 0),
    (16, 16, 14, 8),
    (16, 32, 15, 0),
    (32, 32, 14, 16),
    (32, 64, 15, 0),
    (64, 64, 14, 32),
)
_LENGTH, _SEGMENT = 4288, 4320
_TOLERANCE = 1e-3
_GROUPS = (21, 42, 63, 84, 126)

Measure = Callable[[Callable[[int], object]], float]


def conv_candidates(c_out: int) -> Iterator[ConvConfig]:
    """Yield tiles worth trying for a convolution with `c_out` output channels."""
    from apnet_fast.kernels.conv import ConvConfig

    tiles = itertools.product((2, 4, 8, 16), ((128, 128), (256, 128), (128, 256)), (3, 4), (True, False))
    for positions, (block_m, block_n), stages, through_l1 in tiles:
        columns = positions * c_out
        # Fewer columns than a tensor core's tile waste part of it; more than 256 only repeat the filter.
        if 128 <= columns <= 256 and columns % block_n == 0:
            yield ConvConfig(positions, block_m, block_n, 64, 8, stages, through_l1)


def best_conv(
    shape: tuple[int, int, int, int],
    candidates: Iterable[ConvConfig],
    rows: int,
    device: torch.device,
    measure: Measure,
    length: int = _LENGTH,
    segment: int = _SEGMENT,
) -> tuple[ConvConfig, float]:
    """Return the fastest correct candidate for a conv, and its seconds for a group of `rows` segments.

    Candidates that do not compile, do not fit the chip, or are wrong are skipped. Raises RuntimeError if none is left.
    """
    import torch

    from apnet_fast.kernels.conv import activations, conv, segments_of, toeplitz_filter

    c_in, c_out, pad, channels = shape
    given, filled = (length, length + 1) if pad == 15 else (length + 1, length)
    generator = torch.Generator(device=device).manual_seed(0)

    def noise(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, device=device)

    weight, bias = noise(c_out, c_in, 30) / (30 * c_in) ** 0.5, noise(c_out)
    # Three sets of buffers take turns, so that a repeat does not find its input in L2.
    inputs = [activations(rows, segment, c_in, device) for _ in range(3)]
    residuals = [activations(rows, segment, channels, device) if channels else None for _ in range(3)]
    for buffer, width in [*((x, given) for x in inputs), *((r, filled) for r in residuals if r is not None)]:
        values = segments_of(buffer, rows, segment)
        values[:, :width] = noise(rows, width, values.shape[-1]).half()
    out = activations(rows, segment, c_out, device)
    kept = None if residuals[0] is None else segments_of(residuals[0], rows, segment)[:1, :filled]
    twin = naive_conv(segments_of(inputs[0], rows, segment)[:1, :given], weight, bias, pad, filled, kept)

    best: tuple[ConvConfig, float] | None = None
    for candidate in candidates:
        if segment % candidate.positions:
            continue
        taps = toeplitz_filter(weight, bias, pad, candidate)

        def work(i: int, taps: Any = taps) -> None:
            conv(inputs[i % 3], taps, out, rows, segment, filled, residuals[i % 3])

        try:
            work(0)
            got = segments_of(out, rows, segment)[:1, :filled].float()
            wrong = not float((got - twin).norm() / twin.norm()) < _TOLERANCE
            taken = float("inf") if wrong else measure(work)
        except Exception as error:  # noqa: BLE001 (compilers and drivers raise what they like for a tile they cannot make)
            typer.echo(f"  {candidate}: {type(error).__name__}", err=True)
            continue
        if taken < (best[1] if best else float("inf")):
            best = candidate, taken
    if best is None:
        raise RuntimeError(f"no tile computes the convolution {c_in}-{c_out} on this device")
    return best


def tune(
    base: Tuning,
    device: torch.device,
    measure: Measure,
    say: Callable[[str], None],
    candidates: Callable[[int], Iterable[ConvConfig]] = conv_candidates,
    length: int = _LENGTH,
    segment: int = _SEGMENT,
) -> Tuning:
    """Return `base` with the fastest tile of every convolution for its group of rows."""
    convs = dict(base.convs)
    for shape in CONVS:
        c_in, c_out, _, _ = shape
        config, taken = best_conv(shape, candidates(c_out), base.group_rows, device, measure, length, segment)
        operations = 2 * base.group_rows * length * c_in * c_out * 30
        say(f"conv {c_in}-{c_out}: {taken * 1e6:8.1f} us, {operations / taken / 1e12:6.1f} TFLOP/s  {config}")
        convs[f"{c_in}-{c_out}"] = config
    return replace(base, convs=convs)


def best_group(tuning: Tuning, device: str, say: Callable[[str], None]) -> Tuning:
    """Return the table with the rows per group that make the whole engine fastest."""
    import torch

    from apnet_fast.engines.triton import TritonEngine
    from apnet_fast.kernels.timing import seconds
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.recipes import RECIPES
    from apnet_fast.support.grid import PIXELS

    checkpoint, rates = random_checkpoint(network="v3"), {}
    for rows in _GROUPS:
        engine = TritonEngine(checkpoint, RECIPES["dr19"], device=device, tuning=replace(tuning, group_rows=rows))
        rates[rows] = 1 / engine.seconds_per_spectrum(PIXELS, 20, lambda work: seconds(work, torch.device(device)))
        say(f"groups of {rows:4} rows: {rates[rows]:8.0f} spectra/s")
        del engine
        torch.cuda.empty_cache()
    return replace(tuning, group_rows=max(rates, key=lambda rows: rates[rows]))


@app.command("tune")
def tune_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write (JSON).")],
    device: Annotated[str, typer.Option(help="GPU to measure.")] = "cuda:0",
) -> None:
    """Measure a GPU and write its tuning table, for review."""
    import torch
    import triton

    from apnet_fast.engines.base import check_gpu
    from apnet_fast.engines.triton import architecture_of
    from apnet_fast.kernels.timing import seconds
    from apnet_fast.kernels.tuning import table_for

    check_gpu(device)
    architecture, where = architecture_of(device), torch.device(device)
    machine = f"{torch.cuda.get_device_name(where)}, torch {torch.__version__}, triton {triton.__version__}"
    typer.echo(f"{architecture}: {machine}")
    table = tune(table_for(architecture), where, lambda work: seconds(work, where), typer.echo)
    table = best_group(table, device, typer.echo)
    replace(table, name=architecture, measured=machine).save(output)
    typer.echo(f"{output}: table {architecture}, sha256 {table.sha256}")


if __name__ == "__main__":
    run_app(app)
