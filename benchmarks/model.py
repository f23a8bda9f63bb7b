"""Predict the time of every launch of a tuning table from what was compiled; nothing here is measured.

A convolution is bound by the matrix units of the busiest multiprocessor, and adds its exponentials where no second
program covers them. Other kernels are given their least traffic only, which is a floor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from apnet_fast.kernels.aot import Compiled, Launch
from apnet_fast.support.grid import PIXELS


@dataclass(frozen=True)
class Chip:
    """A GPU: multiprocessors, measured ceilings of matrix product and copy, clock, and what a multiprocessor holds."""

    name: str
    multiprocessors: int
    matmul_tflops: float
    copy_gbs: float
    clock_ghz: float
    registers: int
    shared: int


# Ceilings as measured on an H200 with random data.
CHIPS = {"sm90": Chip("H200", 132, 788.0, 4300.0, 1.755, 65536, 233_472)}
_EXPONENTIALS_PER_CLOCK = 16
_THREADS_PER_WARP = 32


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


def predict(launch: Launch, compiled: Compiled, chip: Chip, draws: int, groups: float) -> Prediction:
    """Predict a launch. draws: per spectrum; groups: groups of draws per tile."""
    threads = launch.options["num_warps"] * _THREADS_PER_WARP
    by_registers = chip.registers // max(threads * compiled.registers, 1)
    by_shared = chip.shared // (compiled.shared + 1024)
    resident = max(1, min(by_registers, by_shared))
    rounds = ceil(launch.programs / chip.multiprocessors)
    values = launch.constants
    if not compiled.label.startswith("conv"):
        traffic = _traffic(launch)
        return Prediction(
            compiled.label,
            launch.programs,
            resident,
            rounds,
            traffic / chip.copy_gbs / 1e9,
            0,
            _per_tile(launch, groups),
        )
    clean = launch.label.startswith("conv clean")
    outputs = values["BLOCK_M"] * values["BLOCK_N"]
    products = outputs * values["STEPS"] * values["BLOCK_K"] * (3 if clean else 1)
    matrix = 2 * products / (chip.matmul_tflops * 1e12 / chip.multiprocessors)
    curved = (1 if clean else 2) * outputs / (_EXPONENTIALS_PER_CLOCK * chip.clock_ghz * 1e9)
    each = matrix + (0 if resident > 1 else curved)
    segments = launch.programs * outputs // (values["SEGMENT"] * values["C_OUT"])
    useful = 2 * segments * values["LENGTH"] * values["C_IN"] * values["C_OUT"] * 30
    return Prediction(
        compiled.label, launch.programs, resident, rounds, rounds * each, useful, _per_tile(launch, groups)
    )


def _per_tile(launch: Launch, groups: float) -> float:
    grouped = launch.label == "pool" or (launch.label.startswith("conv") and "clean" not in launch.label)
    return groups if grouped else 1


def _traffic(launch: Launch) -> int:
    """Return the bytes that a launch must move at the least."""
    values, programs = launch.constants, launch.programs
    if launch.label.startswith("stem"):
        return programs * (8 * PIXELS + 8 * values["LENGTH"])
    if launch.label.startswith("pool"):
        blocks = ceil(values["POOLED"] / values["BLOCK"])
        return programs // blocks * 2 * values["CHANNELS"] * (values["LENGTH"] + values["POOLED"])
    return programs * 16 * PIXELS


def spectra_per_second(predictions: Iterable[Prediction], spectra: int, joint: bool) -> float:
    """Return the rate of a tile of `spectra` spectra, linear layers not counted: an upper limit."""
    left_out = {"stem"} if joint else {"stem joint", "joint limit"}
    return spectra / sum(each.seconds * each.per_tile for each in predictions if each.label not in left_out)
