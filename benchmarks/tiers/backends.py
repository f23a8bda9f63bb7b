"""Tier backends: time the generator that keeps Astra's contract beside `predict`, with the same engine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.backends.astra import apogeenet
from benchmarks.cpu import made_up_spectra
from benchmarks.inputs import weights
from benchmarks.results import Result

_SPECTRA = 1000
_DIFFERENT = 50


@dataclass(frozen=True)
class _Spectrum:
    """The attributes that Astra's spectra have."""

    spectrum_pk: int
    source_pk: int
    flux: NDArray[np.float32]
    ivar: NDArray[np.float64]


def measure(folder: Path, repeats: int, spectra: int | None = None) -> list[Result]:
    """Measure spectra per second of both on the CPU, in turns; `ratio` is generator over `predict`, run by run."""
    spectra = spectra or _SPECTRA
    net = ApogeeNet.load(weights(folder)[0], recipe="astra-0.6", device="cpu")
    flux, error = made_up_spectra(min(spectra, _DIFFERENT))

    def astra_like() -> Iterator[_Spectrum]:
        for pk in range(spectra):
            i = pk % len(flux)
            yield _Spectrum(pk, pk, flux[i], error[i].astype(np.float64) ** -2)

    def generator() -> None:
        for pk, row in enumerate(apogeenet(astra_like(), net=net)):
            if row.spectrum_pk != pk or row.flag_runtime_exception:
                raise RuntimeError(f"row {pk} is not that of its spectrum")

    def predict() -> None:
        chosen = np.arange(spectra) % len(flux)
        net.predict(flux[chosen], error[chosen])

    net.predict(flux[:2], error[:2])
    taken: dict[str, list[float]] = {"generator": [], "predict": []}
    for number in range(repeats):
        both: list[tuple[str, Callable[[], None]]] = [("generator", generator), ("predict", predict)]
        for name, work in both if number % 2 else reversed(both):
            start = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - start)
    ratio = statistics.median(b / a for a, b in zip(taken["generator"], taken["predict"], strict=True))
    rates = {name: spectra / statistics.median(seconds) for name, seconds in taken.items()}
    return [
        Result("net.predict", rates["predict"], "spectra/s", {"spectra": spectra}),
        Result("backends.astra.apogeenet", rates["generator"], "spectra/s", {"ratio": round(ratio, 3)}),
    ]
