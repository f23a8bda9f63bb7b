"""Time the CPU engine stage by stage, and the whole engine beside its rivals, under pytest-benchmark.

    python -m pytest benchmarks/bench_cpu.py --benchmark-only

Everything runs on one thread. Each stage does the work for one spectrum: the clean pass and 20 draws.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from apnet_fast.engines.cpu import fftconv, stem
from apnet_fast.engines.cpu.fftconv import BEFORE
from apnet_fast.engines.cpu.linear import ROWS, LinearLayers
from apnet_fast.engines.cpu.network import CpuNetwork, prepare
from apnet_fast.engines.cpu.trunk import Trunk
from apnet_fast.engines.cpu.vectors import lanes_of
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.recipes import RECIPES, percentile_rank
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.support.grid import PIXELS
from benchmarks.contenders import NAMES, contenders
from benchmarks.cpu import made_up_spectra

_DRAWS = 20
_FLOOR = np.float32(1e-6)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return random_checkpoint(network="v3")


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> CpuNetwork:
    return prepare(fold_v3(checkpoint, PIXELS), PIXELS)


@pytest.fixture(scope="module")
def spectrum() -> tuple[np.ndarray, np.ndarray]:
    flux, error = made_up_spectra(1)
    return flux[0], error[0]


@pytest.fixture(scope="module")
def drawn(spectrum: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    values = np.empty((1 + _DRAWS, PIXELS), np.float32)
    stem.realise(*spectrum, noise_keys(0, "a")[0], _FLOOR, values)
    return values


def test_clean_up(benchmark: BenchmarkFixture, spectrum: tuple[np.ndarray, np.ndarray]) -> None:
    flux, error = (values[None] for values in spectrum)
    benchmark(RECIPES["dr19"].clean_up, flux, error)


def test_normals_alone(benchmark: BenchmarkFixture) -> None:
    benchmark(normals, noise_keys(0, "a"), _DRAWS, PIXELS)


def test_noise_and_floor(
    benchmark: BenchmarkFixture, spectrum: tuple[np.ndarray, np.ndarray], drawn: np.ndarray
) -> None:
    benchmark(stem.realise, *spectrum, noise_keys(0, "a")[0], _FLOOR, np.empty_like(drawn))


@pytest.mark.parametrize("joint", [False, True], ids=["own percentiles", "joint percentile"])
def test_percentiles(benchmark: BenchmarkFixture, drawn: np.ndarray, joint: bool) -> None:
    ranks = [percentile_rank(n) for n in (PIXELS, _DRAWS * PIXELS)]
    own, together = ((rank.lower, rank.upper, rank.fraction) for rank in ranks)
    limits, counts = np.empty(1 + _DRAWS, np.float32), np.empty(stem.DIGITS, np.int64)
    benchmark(stem.log_limits, drawn, joint, own, together, np.float32(0), limits, counts)


def test_log_and_clip(benchmark: BenchmarkFixture, drawn: np.ndarray) -> None:
    out = np.zeros(PIXELS + 3 * stem.FLUX_MARGIN, np.float32)

    def every_row() -> None:
        for row in drawn:
            stem.clipped_log(row, np.float32(7), out)

    benchmark(every_row)


def test_trunk(benchmark: BenchmarkFixture, network: CpuNetwork, drawn: np.ndarray) -> None:
    trunk, features = Trunk(network), np.empty(network.features, np.float32)
    flux = np.zeros(PIXELS + 3 * stem.FLUX_MARGIN, np.float32)
    stem.clipped_log(drawn[0], np.float32(7), flux)

    @torch.inference_mode()
    def every_row() -> None:
        for _ in drawn:
            trunk.features(flux, features)

    benchmark(every_row)


@pytest.mark.parametrize("layer", range(8), ids=[f"block {i // 2} conv {i % 2 + 1}" for i in range(8)])
@pytest.mark.parametrize("stage", ["forward", "product", "inverse"])
def test_conv(benchmark: BenchmarkFixture, network: CpuNetwork, stage: str, layer: int) -> None:
    bank = network.convs[layer // 2][layer % 2]
    rng = np.random.default_rng(0)

    def values(width: int) -> np.ndarray:
        return rng.standard_normal(network.positions * width, dtype=np.float32)

    x, y, residual = values(bank.inputs), values(bank.outputs), values(max(bank.residual, 1))
    x_spectra = torch.randn(fftconv.FREQUENCIES, 2 * network.blocks, 2 * bank.inputs)
    y_spectra = torch.randn(fftconv.FREQUENCIES, 2 * network.blocks, 2 * bank.outputs)
    scratch = np.empty(fftconv.SCRATCH, np.float32)
    blocks, step = network.blocks, network.outputs
    first = BEFORE - bank.pad

    def forward() -> None:
        lanes = lanes_of(min(bank.inputs, stem.LANES))
        fftconv.forward(lanes, x, bank.inputs, first, blocks, step, x_spectra.numpy().ravel(), scratch)

    def product() -> None:
        torch.bmm(x_spectra, bank.spectra, out=y_spectra)

    def inverse() -> None:
        out = y_spectra.numpy().ravel()
        lanes, length = lanes_of(bank.lanes), network.length
        fftconv.inverse(
            lanes, out, bank.outputs, blocks, step, bank.bias, y, BEFORE, length, residual, bank.residual, scratch
        )

    work = {"forward": forward, "product": product, "inverse": inverse}[stage]

    def every_row() -> None:
        for _ in range(1 + _DRAWS):
            work()

    benchmark(every_row)


def test_first_linear_layer(benchmark: BenchmarkFixture, network: CpuNetwork) -> None:
    """Time one call of `ROWS` rows, which serves 128 / 21 spectra."""
    layers = LinearLayers(network.linear)
    features, out = torch.randn(ROWS, network.features), torch.empty(ROWS, layers.width)
    benchmark(lambda: [layers.first(features, column, out) for column in layers.columns])


@pytest.mark.parametrize("name", NAMES)
def test_whole(benchmark: BenchmarkFixture, checkpoint: Checkpoint, name: str) -> None:
    run = contenders(checkpoint, _DRAWS, [name])
    if not run:
        pytest.skip(f"{name} is not installed")
    flux, error = made_up_spectra(6)
    benchmark.pedantic(run[name], (flux, error, _DRAWS), rounds=3, warmup_rounds=1)
