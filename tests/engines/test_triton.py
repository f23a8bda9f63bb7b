"""The Triton engine in Triton's interpreter: the battery, and what only it does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines import ReferenceEngine, create_engine, triton
from apnet_fast.engines.ranges import fp16_headroom, layer_ranges
from apnet_fast.engines.tile_network import TileNetwork
from apnet_fast.engines.triton import TritonEngine, interpreted
from apnet_fast.kernels.stem import JointConfig, StemConfig
from apnet_fast.kernels.toeplitz import CleanConfig, ConvConfig
from apnet_fast.kernels.tuning import Tuning, table_for
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.errors import UsageError
from tests.engines.battery import EngineBattery, assert_close, ordinary_spectra

# Of a segment of 512 positions.
PIXELS = 963
CONVS = ((4, 8), (8, 8), (8, 16), (16, 16))


@pytest.fixture(autouse=True, scope="module")
def _interpreter() -> None:
    if not interpreted():
        pytest.skip("kernels were compiled for a GPU in this process; benchmarks.gpu checks them there")


def small_tiles(**changes: object) -> Tuning:
    """Few rows at a time, in groups that end inside a spectrum, and blocks that the interpreter is quick with.

    The interpreter's dot is numpy's matrix product, whose rounding depends on a row's place in the block; tensor cores'
    does not. A segment here is a whole number of blocks, so that every row has the same place.
    """
    tuning = replace(
        table_for("generic"),
        group_rows=3,
        tile_rows=8,
        stem=StemConfig(1024, 8),
        joint=JointConfig(4096, 8),
        clean=CleanConfig(128, 64, 4, 2),
        convs={f"{c_in}-{c_out}": ConvConfig(4, 128, 4 * c_out, 32, 4, 2) for c_in, c_out in CONVS},
    )
    return replace(tuning, **changes)


class TestTritonEngine(EngineBattery):
    engine = TritonEngine
    precision: ClassVar[str] = "fp16"
    tier: ClassVar[str] = "halves"
    pixels: ClassVar[int] = PIXELS
    most_draws: ClassVar[int] = 2
    batch: ClassVar[int] = 3
    wrong_tap: ClassVar[float] = 0.5

    def make(self, checkpoint: Checkpoint, recipe: str) -> TritonEngine:
        return TritonEngine(checkpoint, RECIPES[recipe], device="cpu", tuning=small_tiles())


def predict(engine: TritonEngine, rng: np.random.Generator, n: int = 2) -> np.ndarray:
    flux, error = ordinary_spectra(rng, n, pixels=PIXELS)
    return engine.predict(flux, error, noise_keys(0, map(str, range(n))), 3).draws


def test_groups_change_no_byte(small_checkpoint: Checkpoint) -> None:
    results = set()
    for changes in ({}, {"group_rows": 1}, {"group_rows": 8}):
        engine = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", tuning=small_tiles(**changes))
        results.add(predict(engine, np.random.default_rng(0)).tobytes())
    assert len(results) == 1


def test_a_spectrum_beyond_fp16_is_computed_again_in_fp32(
    small_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    # The last conv's output overflows fp16 although its inputs do not; the linear layer behind it scales back.
    state = dict(small_checkpoint.state)
    state["res_blocks.1.bn2.weight"] = state["res_blocks.1.bn2.weight"] * 1e5
    state["res_blocks.1.bn2.bias"] = state["res_blocks.1.bn2.bias"] * 1e5
    key = "linear_sequential.0.linear_layer.weight"
    state[key] = state[key] * 1e-5
    loud = replace(small_checkpoint, state=state)
    engine = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", tuning=small_tiles())
    engine.checkpoint = loud
    engine.strict = ReferenceEngine(loud, RECIPES["dr19"])
    flux, error = ordinary_spectra(rng, 1, pixels=PIXELS)
    got = engine.predict(flux, error, noise_keys(0, "a"), 3)
    truth = ReferenceEngine(loud, RECIPES["dr19"], precision="fp64").predict(flux, error, noise_keys(0, "a"), 3)
    assert_close(got, truth, loud)


def test_weights_too_large_for_fp16_fall_back_loudly(
    small_checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    state = dict(small_checkpoint.state)
    state["res_blocks.0.bn1.weight"] = state["res_blocks.0.bn1.weight"] * 1e4
    engine = TritonEngine(replace(small_checkpoint, state=state), RECIPES["dr19"], device="cpu", tuning=small_tiles())
    assert engine.precision == "fp32"
    assert "WARNING" in capsys.readouterr().err
    strict = ReferenceEngine(engine.checkpoint, RECIPES["dr19"])
    flux, error = ordinary_spectra(rng, 1, pixels=PIXELS)
    got, expected = (e.predict(flux, error, noise_keys(0, "a"), 3) for e in (engine, strict))
    assert got.draws.tobytes() == expected.draws.tobytes()


@pytest.mark.parametrize("sizes", [{"dim_mults": (1, 3)}, {"model_dim": 8}, {"kernel_size": 28}])
def test_networks_of_other_sizes_fall_back_loudly(sizes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = {"dim_mults": (1, 2), "adapt_pool_output_dim": 16, "num_linear": 2, "linear_dim": 8}
    odd = random_checkpoint(seed=1, architecture=ArchitectureV3(**(small | sizes)))
    assert TritonEngine.effective_precision(odd, "fp32") == "fp32"
    assert capsys.readouterr().err == ""
    assert TritonEngine.effective_precision(odd, "fp16") == "fp32"
    assert "powers of 2" in capsys.readouterr().err
    usual = random_checkpoint(seed=1, architecture=ArchitectureV3(**small))
    assert TritonEngine.effective_precision(usual, "fp16") == "fp16"


def test_ranges_name_every_layer(small_checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [layer.layer for layer in layer_ranges(small_checkpoint)]
    assert layers[0] == "first_conv.bn"
    assert {"res_blocks.0.bn1", "res_blocks.1", "linear_sequential.2"} <= set(layers)
    assert fp16_headroom(small_checkpoint) > 16
    assert TritonEngine.effective_precision(small_checkpoint, "fp16") == "fp16"
    assert capsys.readouterr().err == ""


def test_fp32_is_the_reference(small_checkpoint: Checkpoint) -> None:
    engine = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32", tuning=small_tiles())
    strict = ReferenceEngine(small_checkpoint, RECIPES["dr19"])
    assert predict(engine, np.random.default_rng(0)).tobytes() == predict(strict, np.random.default_rng(0)).tobytes()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_is_a_usage_error(small_checkpoint: Checkpoint) -> None:
    for device in ("cuda", "cuda:0", "cuda:0,cuda:1"):
        with pytest.raises(UsageError, match="no such GPU"):
            create_engine("triton", small_checkpoint, RECIPES["dr19"], device=device, precision="fp16")


def test_an_unknown_rule_of_error_clean_up_is_refused(small_checkpoint: Checkpoint) -> None:
    recipe = replace(RECIPES["dr19"], missing_errors="flux")
    with pytest.raises(UsageError, match="rule of error clean-up"):
        TritonEngine(small_checkpoint, recipe, device="cpu", tuning=small_tiles())


@pytest.mark.parametrize(("major", "minor", "refused"), [(7, 5, True), (8, 0, False), (12, 0, False)])
def test_gpus_older_than_sm80_are_refused(
    major: int, minor: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    properties = SimpleNamespace(major=major, minor=minor)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    if not refused:
        TritonEngine.check("fp16", "cuda:0")
        return
    with pytest.raises(UsageError, match="too old for engine triton") as caught:
        TritonEngine.check("fp16", "cuda:0")
    assert "sm75" in str(caught.value)


def test_a_tile_that_memory_does_not_hold_is_halved(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []
    most = [2]

    class Small(TileNetwork):
        def _allocate(self) -> None:
            asked.append(self.spectra)
            if self.spectra > most[0]:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
            super()._allocate()

    monkeypatch.setattr(triton, "TileNetwork", Small)
    tuning = small_tiles(tile_rows=30)
    engine = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", tuning=tuning)
    assert engine.queue(PIXELS, 2).network.spectra == 2
    assert asked == [10, 5, 2]
    assert "CUDA out of memory. Tried to allocate 2 GiB.; computing tiles of 2 spectra" in capsys.readouterr().err
    most[0] = 0
    with pytest.raises(UsageError, match="does not hold a single spectrum"):
        engine.queue(PIXELS, 3)


def test_spectra_of_several_calls_share_a_tile(small_checkpoint: Checkpoint) -> None:
    engine = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", tuning=small_tiles(tile_rows=9))
    assert engine.preferred_batch(2) == 12
    strict = TritonEngine(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32", tuning=engine.tuning)
    assert strict.preferred_batch(2) is None
    flux, error = ordinary_spectra(np.random.default_rng(0), 3, pixels=PIXELS)
    keys = noise_keys(0, "abc")
    first, second = (engine.submit(flux[part], error[part], keys[part], 2) for part in (slice(0, 2), slice(2, 3)))
    queue = engine.queue(PIXELS, 2)
    assert (queue.launches, queue.spectra) == (1, 3)
    together = np.concatenate([second().draws, first().draws])[[1, 2, 0]]
    assert together.tobytes() == engine.predict(flux, error, keys, 2).draws.tobytes()
