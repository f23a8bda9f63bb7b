"""`python -m apnet_fast.tune`: measure a GPU and write its tuning table.

Blocks of convolutions are checked against the kernel's twin before they are timed, one by one; what else is in the
table is checked by the labels of the whole engine, and timed in it. Review the table and put it into kernels/tuning/
under the architecture's name. Nothing is ever tuned during a run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import check_folder_of
from apnet_fast.support.grid import PIXELS
from apnet_fast.support.notices import say, tell
from apnet_fast.support.variables import DEVICE, value_of

if TYPE_CHECKING:
    import torch

    from apnet_fast.kernels.toeplitz import ConvConfig
    from apnet_fast.kernels.tuning import Tuning
    from apnet_fast.networks.checkpoint import Checkpoint
    from apnet_fast.recipes import Predictions

app = typer.Typer(add_completion=False)

# C_in, C_out, left padding and channels of the residual of the convs of the survey's network.
CONVS = (
    (4, 8, 15, 0),
    (8, 8, 14, 4),
    (8, 16, 15, 0),
    (16, 16, 14, 8),
    (16, 32, 15, 0),
    (32, 32, 14, 16),
    (32, 64, 15, 0),
    (64, 64, 14, 32),
)
_LENGTH = (PIXELS + 1) // 2
_TOLERANCE = 1e-3
# 31 and 62 fill the last round of an H100's multiprocessors.
_GROUPS = (21, 25, 31, 42, 62, 84, 126)
_TILES = (651, 1302, 2604)
_CARVEOUTS = (0, 72, 100)
# Spectra whose labels are compared with fp32, and how far they may move, in the scatter of their draws.
_CHECKED, _SHIFT = 4, 0.05

Measure = Callable[[Callable[[int], object]], float]


def conv_candidates(c_out: int) -> Iterator[ConvConfig]:
    """Yield block shapes worth trying for a convolution with `c_out` output channels."""
    from apnet_fast.kernels.toeplitz import ConvConfig

    shapes = ((128, 128), (256, 128), (128, 256))
    blocks = itertools.product((2, 4, 8, 16), shapes, (3, 4), (True, False), _CARVEOUTS)
    for positions, (block_m, block_n), stages, through_l1, carveout in blocks:
        columns = positions * c_out
        # Fewer columns than a tensor core's tile waste part of it; more than 256 only repeat the filter.
        if 128 <= columns <= 256 and columns % block_n == 0 and (not carveout or through_l1):
            yield ConvConfig(positions, block_m, block_n, 64, 8, stages, through_l1, carveout)


def best_conv(
    shape: tuple[int, int, int, int],
    candidates: Iterable[ConvConfig],
    rows: int,
    device: torch.device,
    measure: Measure,
    length: int = _LENGTH,
) -> tuple[ConvConfig, float]:
    """Return the fastest correct candidate for a conv over a group of `rows` draws, and its seconds.

    Candidates that do not compile, do not fit the chip, or are wrong are skipped. Raises RuntimeError if none is left.
    """
    import torch

    from apnet_fast.kernels.activations import activations, segment_length
    from apnet_fast.kernels.conv import draw_conv
    from apnet_fast.kernels.naive import naive_elu_difference, naive_sums
    from apnet_fast.kernels.toeplitz import toeplitz_filter

    c_in, c_out, pad, channels = shape
    given, filled = (length, length + 1) if pad == 15 else (length + 1, length)
    generator = torch.Generator(device=device).manual_seed(0)

    def noise(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator, device=device)

    weight = noise(c_out, c_in, 30) / (30 * c_in) ** 0.5
    # Three sets of values take turns, so that a repeat does not find its input in L2.
    values = [noise(rows, given, c_in).half() for _ in range(3)]
    kept = [noise(rows, filled, channels).half() if channels else None for _ in range(3)]
    clean = noise(rows, filled, c_out)
    # In float64, since a GPU may convolve fp32 in TF32, which is further off than the limit.
    sums = naive_sums(values[0][:1], weight.double(), None, pad, filled, None if kept[0] is None else kept[0][:1])
    twin = naive_elu_difference(clean[:1].double(), sums)

    best: tuple[ConvConfig, float] | None = None
    for candidate in candidates:
        try:
            taps = toeplitz_filter(weight, noise(c_out), pad, candidate)
            segment = segment_length(length, [taps.window])
            inputs = [activations(rows, segment, c_in, pad, device) for _ in range(3)]
            residuals = [activations(rows, segment, channels, 15, device) if channels else None for _ in range(3)]
            for buffer, value in (*zip(inputs, values, strict=True), *zip(residuals, kept, strict=True)):
                if buffer is not None and value is not None:
                    buffer.rows()[0, :, : value.shape[1]] = value
            z = torch.zeros(rows, segment, c_out, device=device)
            z[:, :filled] = clean
            out = activations(rows, segment, c_out, 29 - pad, device)

            def work(i: int, *, x: Any = inputs, t: Any = taps, z: Any = z, y: Any = out, r: Any = residuals) -> None:
                draw_conv(x[i % 3], t, z, y, filled, first=0, draws=1, residual=r[i % 3])

            work(0)
            got = out.rows()[0, :1, :filled].double()
            wrong = not float((got - twin).norm() / twin.norm()) < _TOLERANCE
            taken = float("inf") if wrong else measure(work)
        except Exception as error:  # noqa: BLE001 (compilers and drivers raise what they like for a block they cannot make)
            say(f"  {candidate}: {type(error).__name__}")
            continue
        if taken < (best[1] if best else float("inf")):
            best = candidate, taken
    if best is None:
        raise RuntimeError(f"no block computes the convolution {c_in}-{c_out} on this device")
    return best


def tune(
    base: Tuning,
    device: torch.device,
    measure: Measure,
    say: Callable[[str], None],
    candidates: Callable[[int], Iterable[ConvConfig]] = conv_candidates,
    length: int = _LENGTH,
) -> Tuning:
    """Return `base` with the fastest block of every convolution for its group of rows; its own is tried too."""
    convs = dict(base.convs)
    for shape in CONVS:
        c_in, c_out, _, _ = shape
        tried = dict.fromkeys([base.conv(c_in, c_out), *candidates(c_out)])
        config, taken = best_conv(shape, tried, base.group_rows, device, measure, length)
        operations = 2 * base.group_rows * length * c_in * c_out * 30
        say(f"conv {c_in}-{c_out}: {taken * 1e6:8.1f} us, {operations / taken / 1e12:6.1f} TFLOP/s  {config}")
        convs[f"{c_in}-{c_out}"] = config
    return replace(base, convs=convs)


@dataclass(frozen=True)
class Choice:
    """An entry of the table that is tried in the whole engine, under a recipe that uses it."""

    name: str
    recipe: str
    candidates: tuple[object, ...]


def choices() -> list[Choice]:
    """Return what is tried in the whole engine, in this order."""
    from apnet_fast.kernels.pool import PoolConfig
    from apnet_fast.kernels.stem import JointConfig, StemConfig
    from apnet_fast.kernels.toeplitz import CleanConfig

    def grid(kind: Callable[..., object], *values: tuple[int, ...]) -> tuple[object, ...]:
        return tuple(kind(*each) for each in itertools.product(*values))

    return [
        Choice("group_rows", "dr19", _GROUPS),
        Choice("tile_rows", "dr19", _TILES),
        Choice("stem", "dr19", grid(StemConfig, (256, 512, 1024), (8, 16))),
        Choice("clean", "dr19", grid(CleanConfig, (64, 128), (64, 128), (4, 8), (2, 3))),
        Choice("pool", "dr19", grid(PoolConfig, (16, 32, 64), (4, 8))),
        Choice("joint", "astra-0.6", grid(JointConfig, (512, 1024, 2048), (8, 16))),
    ]


def best_engine(
    tuning: Tuning,
    device: str,
    measure: Measure,
    say: Callable[[str], None],
    tried: Iterable[Choice] | None = None,
    checkpoint: Checkpoint | None = None,
    pixels: int = PIXELS,
    draws: int = 20,
) -> Tuning:
    """Return the table with the entries that make the whole engine fastest, chosen one after another.

    Entries with which the engine cannot be made, or whose labels are not those of fp32, are skipped. Raises
    RuntimeError if none is left. checkpoint: default random weights of the survey's network.
    """
    import numpy as np
    import torch

    from apnet_fast.engines.reference import ReferenceEngine
    from apnet_fast.engines.triton import TritonEngine
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.recipes import RECIPES

    weights = checkpoint or random_checkpoint(network="v3")
    flux = np.random.default_rng(0).normal(500, 50, (_CHECKED, pixels)).astype(np.float32)
    given = flux, np.full_like(flux, 5), np.arange(_CHECKED, dtype=np.uint64), draws
    for choice in choices() if tried is None else tried:
        recipe = RECIPES[choice.recipe]
        truth = ReferenceEngine(weights, recipe, device=device).predict(*given)
        rates: dict[Any, float] = {}
        for value in dict.fromkeys([getattr(tuning, choice.name), *choice.candidates]):
            table = replace(tuning, **{choice.name: value})
            try:
                engine = TritonEngine(weights, recipe, device=device, tuning=table)
                if not _same_labels(engine.predict(*given), truth):
                    say(f"  {choice.name} {value}: wrong labels")
                    continue
                rates[value] = 1 / engine.seconds_per_spectrum(pixels, draws, measure)
            except Exception as error:  # noqa: BLE001 (as in best_conv)
                say(f"  {choice.name} {value}: {type(error).__name__}")
                continue
            finally:
                engine = None  # type: ignore[assignment]
                torch.cuda.empty_cache()
            say(f"{choice.name} {value}: {rates[value]:8.0f} spectra/s")
        if not rates:
            raise RuntimeError(f"no {choice.name} gives the labels of fp32 on this device")
        tuning = replace(tuning, **{choice.name: max(rates, key=lambda value: rates[value])})
    return tuning


def _same_labels(got: Predictions, truth: Predictions) -> bool:
    """Return whether clean labels and medians of draws are within a small part of the scatter of the draws."""
    import numpy as np

    sigma = truth.draws.std(axis=1, ddof=1)
    moved = np.abs([got.clean - truth.clean, np.median(got.draws, axis=1) - np.median(truth.draws, axis=1)]) / sigma
    return bool(np.all(moved < _SHIFT))


@app.command("tune")
@with_common_options
def tune_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write (JSON).")],
    device: Annotated[
        str | None, typer.Option(help="GPU to measure.", show_default="APNET_FAST_DEVICE, else cuda:0")
    ] = None,
) -> None:
    """Measure a GPU and write its tuning table, for review."""
    device = device or value_of(DEVICE) or "cuda:0"
    _check_device(device)
    check_folder_of(output)
    import torch
    import triton

    from apnet_fast.engines.triton import architecture_of
    from apnet_fast.kernels.timing import kernel_seconds, seconds
    from apnet_fast.kernels.tuning import table_for

    architecture, where = architecture_of(device), torch.device(device)
    machine = f"{torch.cuda.get_device_name(where)}, torch {torch.__version__}, triton {triton.__version__}"
    tell(f"{architecture}: {machine}")
    with torch.cuda.device(where):
        table = tune(table_for(architecture), where, lambda work: kernel_seconds(work, where), tell)
        table = best_engine(table, device, lambda work: seconds(work, where), tell)
    replace(table, name=architecture, measured=machine).save(output)
    tell(f"{output}: table {architecture}, sha256 {table.sha256}")


def _check_device(device: str) -> None:
    """Raise UsageError for what is not a GPU of this machine: tuning measures one, and has no meaning elsewhere."""
    from apnet_fast.engines.base import check_gpu

    remedy = "give the command on the machine whose GPU is to be measured; without a GPU there is nothing to tune"
    if not device.startswith("cuda") or "," in device:
        raise UsageError("tune measures one GPU", got=device, expected="cuda:0, cuda:1, ...", remedy=remedy)
    check_gpu(device, remedy)


if __name__ == "__main__":
    run_app(app)
