"""What the GPU benchmark times: every kernel of the network, on the buffers of a tile.

Its checks of the kernels are tested beside the network, in tests/engines/test_tile_network.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.triton import interpreted
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes.noise import noise_keys
from benchmarks.gpu_kernels import kernel_runs, tile_of
from tests.engines.battery import ordinary_spectra
from tests.engines.test_tile_network import tile_network
from tests.engines.test_triton import PIXELS

pytestmark = pytest.mark.skipif(not interpreted(), reason="kernels were compiled for a GPU in this process")


def test_a_tile_holds_the_spectra_in_rows_of_the_pitch(small_checkpoint: Checkpoint) -> None:
    network = tile_network(small_checkpoint, "dr19", 2)
    flux, error = ordinary_spectra(np.random.default_rng(0), 2, pixels=PIXELS)
    tile = tile_of(network, flux, error, noise_keys(0, "ab"))
    assert tile.flux.shape == tile.error.shape == (2, 992)
    np.testing.assert_array_equal(tile.flux.numpy()[:, :PIXELS], flux)
    np.testing.assert_array_equal(tile.error.numpy()[:, :PIXELS], error)
    assert not tile.flux[:, PIXELS:].any()
    assert tile.outputs.shape == (2, 1 + network.draws, 3)
    assert tile.outputs.isnan().all()


@pytest.mark.parametrize(
    ("recipe", "stems"), [("dr19", {"stem"}), ("astra-0.6", {"stem joint", "joint limit"})], ids=["dr19", "astra-0.6"]
)
def test_every_kernel_is_timed_as_often_as_a_tile_needs_it(
    recipe: str, stems: set[str], small_checkpoint: Checkpoint
) -> None:
    network = tile_network(small_checkpoint, recipe, 4, 3)
    flux, error = ordinary_spectra(np.random.default_rng(0), 4, pixels=PIXELS)
    runs = {run.name: run for run in kernel_runs(network, tile_of(network, flux, error, noise_keys(0, "abcd")))}
    convs = {"4-8", "8-8 + residual", "8-16", "16-16 + residual"}
    assert set(runs) == (
        {"clean-up", "stem clean", "pool", "first linear layer"}
        | stems
        | {f"conv {shape}" for shape in convs}
        | {f"conv clean {shape}" for shape in convs}
    )
    # Twelve draws in groups of four; all clean spectra at once.
    assert network.group_rows == 4
    of_groups = {name for name, run in runs.items() if run.launches == 3}
    assert of_groups == {"pool", *(f"conv {shape}" for shape in convs)}
    assert {run.launches for name, run in runs.items() if name not in of_groups} == {1}


def test_what_is_timed_is_what_the_network_does(small_checkpoint: Checkpoint) -> None:
    network = tile_network(small_checkpoint, "dr19", 2, 2)
    flux, error = ordinary_spectra(np.random.default_rng(0), 2, pixels=PIXELS)
    tile = tile_of(network, flux, error, noise_keys(0, "ab"))
    network.compute(tile.flux, tile.error, tile.keys, tile.outputs, 2)
    right = network.features[:4].clone()
    network.features.fill_(float("nan"))
    # The four draws are one group, whose last activations are still there.
    pool = next(run for run in kernel_runs(network, tile) if run.name == "pool")
    pool.work(0)
    assert torch.equal(network.features[:4], right)
