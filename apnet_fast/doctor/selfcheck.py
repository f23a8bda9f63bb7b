"""Hold every engine of this machine to the plain float64 one, on small random networks and made-up spectra."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from apnet_fast.engines import ReferenceEngine, create_engine
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.networks.kinds import Architecture
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.shipped import SHIPPED
from apnet_fast.networks.v1 import ArchitectureV1
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import get_recipe
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.forks import in_a_sound_thread
from apnet_fast.support.grid import CHIP_GAPS, PIXELS

# The limits of the tests (tests/engines/battery.py): of a label plus its scatter in the training set.
_STRICT, _EAGER, _HALVES = 1e-5, 3e-5, 5e-3
_SPECTRA, _DRAWS, _SNR = 3, 4, 100.0

_SMALL: dict[str, Architecture] = {
    "v3": ArchitectureV3(dim_mults=(1, 2, 4), adapt_pool_output_dim=64, num_linear=2, linear_dim=32),
    "v2": ArchitectureV2(linear_dim=8),
    "v1": ArchitectureV1(linear_dim=8),
}


@dataclass(frozen=True)
class Check:
    """What to check: an engine on a device. limit: the largest error allowed, of a label plus its scatter."""

    network: str
    engine: str
    device: str
    precision: str
    limit: float

    @property
    def name(self) -> str:
        """Return words for it."""
        return f"{self.network}, engine {self.engine}, {self.precision}, {self.device}"


@dataclass(frozen=True)
class Verdict:
    """What came out: whether it is right, and in words how far off, or what was raised."""

    name: str
    passed: bool
    text: str
    seconds: float


def checks() -> list[Check]:
    """Return the checks that this machine can make: of the CPU engines, and of those of the first GPU."""
    found = [Check("v3", "cpu", "cpu", "fp32", _STRICT)]
    found += [Check(network, "cpu", "cpu", "fp32", _EAGER) for network in ("v2", "v1")]
    if torch.cuda.device_count():
        found += [Check("v3", "triton", "cuda:0", "fp32", _STRICT), Check("v3", "triton", "cuda:0", "fp16", _HALVES)]
        found += [Check(network, "torch", "cuda:0", "fp32", _EAGER) for network in ("v2", "v1")]
    return found


def verdicts() -> Iterator[Verdict]:
    """Yield the verdict on the shipped weights, then that of each check."""
    yield _verdict("shipped weights", _read_shipped)
    for check in checks():
        yield _verdict(check.name, partial(_compare, check))


def _verdict(name: str, work: Callable[[], tuple[bool, str]]) -> Verdict:
    start = time.monotonic()
    try:
        passed, text = in_a_sound_thread(work)
    except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks go on and all of it is reported
        passed, text = False, f"{type(error).__name__}: {error}"
    return Verdict(name, passed, text, time.monotonic() - start)


def _read_shipped() -> tuple[bool, str]:
    """Read the shipped weights, which compares them with their checksum."""
    checkpoint = load_checkpoint(SHIPPED["demo"])
    return True, f"{len(checkpoint.state)} tensors, sha256 {checkpoint.sha256[:16]}..."


def _compare(check: Check) -> tuple[bool, str]:
    """Compute the same spectra with the engine and with the plain float64 one."""
    checkpoint = random_checkpoint(1, _SMALL[check.network])
    recipe = get_recipe(None, check.network)
    engine = create_engine(check.engine, checkpoint, recipe, device=check.device, precision=check.precision)
    truth = ReferenceEngine(checkpoint, recipe, precision="fp64")
    flux, error = made_up_spectra(_SPECTRA)
    keys = noise_keys(0, map(str, range(_SPECTRA)))
    got, expected = (each.predict(flux, error, keys, _DRAWS) for each in (engine, truth))
    worst = max(_largest_error(checkpoint, getattr(got, name), getattr(expected, name)) for name in ("clean", "draws"))
    return worst <= check.limit, f"largest error {worst:.1e}, at most {check.limit:.0e} allowed"


def _largest_error(checkpoint: Checkpoint, got: NDArray, expected: NDArray) -> float:
    """Return the largest error, as a part of the label plus its scatter in the training set; infinite for NaN."""
    used = np.abs(got - expected) / (np.abs(expected) + np.asarray(checkpoint.scaling.std))
    return float(np.where(np.isfinite(used), used, np.inf).max())


def made_up_spectra(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return flux and error, float32 (number, 8575), with lines, chip gaps and bad pixels; the same in every call."""
    generator = np.random.default_rng(0)
    level = 10 ** generator.uniform(1.5, 4, (number, 1))
    truth = level * (1 - 0.4 * generator.random((number, PIXELS)) ** 6)
    error = np.broadcast_to(level / _SNR, truth.shape) * generator.uniform(0.8, 1.3, truth.shape)
    flux = generator.normal(truth, error)
    for start, stop in CHIP_GAPS:
        flux[:, start:stop], error[:, start:stop] = np.nan, 0
    error[:, generator.integers(300, 3000, 40)] = 1e10
    return flux.astype(np.float32), error.astype(np.float32)
