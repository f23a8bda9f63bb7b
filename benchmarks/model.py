"""Predict the time of every launch of a tuning table from what was compiled; nothing here is measured.

A convolution is bound by the matrix units of the busiest multiprocessor, to which it adds its exponentials where no
second program covers them, or by what it gets of L2 if L1 serves every repeated load. The stem is bound by its
arithmetic. Other kernels are bound by what they read and write. `ways` are the engine before and after each of its
changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

import torch
from torch import nn

from apnet_fast.kernels.aot import Compiled, Launch
from apnet_fast.kernels.stem import TAPS
from apnet_fast.kernels.toeplitz import ConvConfig
from apnet_fast.kernels.tuning import Tuning
from apnet_fast.networks.v3 import ApogeeNetV3
from apnet_fast.support.grid import PIXELS


@dataclass(frozen=True)
class Chip:
    """A GPU: multiprocessors, measured ceilings of matrix product and copy, clock, and what a multiprocessor holds.

    from_l2: bytes a clock that a multiprocessor gets of L2. gap: seconds from a launch of a graph to the next.
    Both are taken, not measured.
    """

    name: str
    multiprocessors: int
    matmul_tflops: float
    copy_gbs: float
    clock_ghz: float
    registers: int
    shared: int
    from_l2: int
    gap: float


# Ceilings as measured on an H200 with random data.
CHIPS = {"sm90": Chip("H200", 132, 788.0, 4300.0, 1.755, 65536, 233_472, 24, 1e-6)}
_EXPONENTIALS_PER_CLOCK = 16
_OPERATIONS_PER_CLOCK = 128
_THREADS_PER_WARP = 32
# Passes over a row's values to select its percentile bit by bit, and operations of a value in each.
_PASSES, _OF_A_PASS = 31, 2
# Operations of four normal numbers: ten rounds of Philox, and Box-Muller.
_OF_FOUR_NORMALS = 120
# Passes over the values of all draws of a spectrum, to write and to select: as they are, and when they were selected
# bit by bit, half of them padding.
_JOINT_PASSES, _EARLIER_JOINT_PASSES = 6, 2 * 32


@dataclass(frozen=True)
class Prediction:
    """Programs of a launch, how many a multiprocessor holds, rounds of the busiest one, seconds, useful operations.

    per_tile: launches that a tile of spectra needs.
    """

    label: str
    programs: int
    resident: int
    rounds: int
    seconds: float
    operations: int
    per_tile: float

    def of_ceiling(self, chip: Chip) -> float:
        """Return the useful arithmetic as a fraction of the matrix product's ceiling."""
        return self.operations / self.seconds / 1e12 / chip.matmul_tflops


def predict(
    launch: Launch, compiled: Compiled, chip: Chip, draws: int, groups: float, *, whole: bool = False
) -> Prediction:
    """Predict a launch. draws: per spectrum; groups: groups of draws per tile.

    whole: rows are whole spectra, not differences, whose ELU takes one exponential in place of two.
    """
    threads = launch.options["num_warps"] * _THREADS_PER_WARP
    by_registers = chip.registers // max(threads * compiled.registers, 1)
    by_shared = chip.shared // (compiled.shared + 1024)
    resident = max(1, min(by_registers, by_shared))
    rounds = ceil(launch.programs / chip.multiprocessors)
    clock, per_tile = chip.clock_ghz * 1e9, _per_tile(launch, groups)
    values, useful = launch.constants, 0
    if launch.label.startswith("conv"):
        clean = launch.label.startswith("conv clean")
        outputs = values["BLOCK_M"] * values["BLOCK_N"]
        products = outputs * values["STEPS"] * values["BLOCK_K"] * (3 if clean else 1)
        matrix = 2 * products / (chip.matmul_tflops * 1e12 / chip.multiprocessors)
        curved = (1 if clean or whole else 2) * outputs / (_EXPONENTIALS_PER_CLOCK * clock)
        moved = _conv_bytes(values, 2 if clean else 1) / (chip.from_l2 * clock)
        seconds = rounds * max(matrix + (0 if resident > 1 else curved), moved)
        segments = launch.programs * outputs // (values["SEGMENT"] * values["C_OUT"])
        useful = 2 * segments * values["LENGTH"] * values["C_IN"] * values["C_OUT"] * 30
    else:
        traffic = _traffic(launch, draws)
        through = rounds * traffic / launch.programs / (chip.from_l2 * clock)
        arithmetic = rounds * _stem_operations(launch) / (_OPERATIONS_PER_CLOCK * clock)
        seconds = max(traffic / chip.copy_gbs / 1e9, through, arithmetic)
    return Prediction(compiled.label, launch.programs, resident, rounds, seconds, useful, per_tile)


def _per_tile(launch: Launch, groups: float) -> float:
    grouped = launch.label == "pool" or (launch.label.startswith("conv") and "clean" not in launch.label)
    return groups if grouped else 1


def _conv_bytes(values: Mapping[str, int], planes: int) -> int:
    """Return the bytes that a program of a convolution moves: window and filter once, sums of clean spectra, result."""
    window = 2 * values["BLOCK_M"] * values["S"] * values["C_IN"]
    filter = 2 * values["STEPS"] * values["BLOCK_K"] * values["BLOCK_N"]
    outputs = values["BLOCK_M"] * values["BLOCK_N"]
    return planes * (window + filter + 2 * outputs) + 4 * outputs


def _traffic(launch: Launch, draws: int) -> int:
    """Return the bytes that a launch must move at the least."""
    values, programs = launch.constants, launch.programs
    if launch.label.startswith("stem"):
        return programs * (8 * PIXELS + 8 * values["LENGTH"])
    if launch.label.startswith("pool"):
        blocks = ceil(values["POOLED"] / values["BLOCK"])
        return programs // blocks * 2 * values["CHANNELS"] * (values["LENGTH"] + values["POOLED"])
    if launch.label == "joint limit":
        return programs * 4 * draws * PIXELS * values.get("PASSES", _JOINT_PASSES)
    return programs * 16 * PIXELS


def _stem_operations(launch: Launch) -> int:
    """Return the arithmetic of a program of the stem: normals, percentile, convolution; 0 for other kernels."""
    values = launch.constants
    if not launch.label.startswith("stem"):
        return 0
    normals = 0 if values["CLEAN"] else values["QUADS"] * _OF_FOUR_NORMALS
    selected = 0 if values["JOINT"] else _PASSES * _OF_A_PASS * 4 * values["QUADS"]
    return normals + selected + 2 * 4 * TAPS * values["LENGTH"]


@dataclass(frozen=True)
class Way:
    """A way to run the engine. differences: of draws from a clean spectrum in halves, else every row by itself.

    stem_at_once: the stem takes all draws of a tile in one launch, else a group's. batch: spectra of a batch that has
    tiles of its own; None if batches share tiles.
    """

    name: str
    tuning: Tuning
    differences: bool
    stem_at_once: bool
    batch: int | None

    def filled(self, spectra: int) -> float:
        """Return which share of the places in tiles of this size has a spectrum."""
        return self.batch / (ceil(self.batch / spectra) * spectra) if self.batch else 1


def ways(tuning: Tuning) -> list[Way]:
    """Return the engine before its changes and after each, on the way to this table."""
    wide = dict.fromkeys(("32-64", "64-64"), ConvConfig(4, 256, 128, 64, 8, 3))
    earlier = replace(tuning, group_rows=42, tile_rows=1024, convs={**tuning.convs, **wide})
    return [
        Way("before", earlier, False, False, 64),
        Way("1. differences from the clean row", earlier, True, False, 64),
        Way("2. whole tiles", earlier, True, False, None),
        Way("3. launch shape and tables", tuning, True, True, None),
    ]


def predict_way(way: Way, found: Mapping[str, tuple[Launch, Compiled]], chip: Chip, draws: int, joint: bool) -> float:
    """Return the spectra per second of a way with everything on the device. found: its launches by label."""
    spectra = max(1, way.tuning.tile_rows // (1 + draws))
    rows = draws if way.differences else 1 + draws
    groups = spectra * rows / way.tuning.group_rows
    seconds = spectra * linear_seconds(chip, draws, way.differences)
    for launch, compiled in _launches_of(way, found, joint):
        each = predict(launch, compiled, chip, draws, groups, whole=not way.differences)
        by_group = launch.label.startswith("stem") and launch.label != "stem clean" and not way.stem_at_once
        seconds += (each.seconds + chip.gap) * (groups if by_group else each.per_tile)
    return spectra / seconds


def _launches_of(
    way: Way, found: Mapping[str, tuple[Launch, Compiled]], joint: bool
) -> Iterator[tuple[Launch, Compiled]]:
    """Yield the launches of a way in its shapes."""
    left_out = _left_out(joint)
    for label, (launch, compiled) in found.items():
        if label in left_out or (" clean" in label and not way.differences):
            continue
        if label in ("stem", "stem joint") and not way.stem_at_once:
            launch = replace(launch, programs=way.tuning.group_rows)
        if label == "joint limit" and not way.stem_at_once:
            launch = replace(launch, constants={**launch.constants, "PASSES": _EARLIER_JOINT_PASSES})
        yield launch, compiled


def linear_seconds(chip: Chip, draws: int, differences: bool = True) -> float:
    """Return the seconds of a spectrum's linear layers at the ceiling of the matrix product.

    Draws need one product, their mean one, and the clean spectrum three; whole rows needed two each.
    """
    with torch.device("meta"):
        layers = [layer for layer in ApogeeNetV3().modules() if isinstance(layer, nn.Linear)]
    products = draws + 4 if differences else 2 * (1 + draws)
    return 2 * products * sum(layer.weight.numel() for layer in layers) / (chip.matmul_tflops * 1e12)


def _left_out(joint: bool) -> set[str]:
    return {"stem"} if joint else {"stem joint", "joint limit"}


def spectra_per_second(predictions: Iterable[Prediction], chip: Chip, draws: int, spectra: int, joint: bool) -> float:
    """Return the rate of a tile of `spectra` spectra."""
    left_out = _left_out(joint)
    launches = sum((each.seconds + chip.gap) * each.per_tile for each in predictions if each.label not in left_out)
    return spectra / (launches + spectra * linear_seconds(chip, draws))
