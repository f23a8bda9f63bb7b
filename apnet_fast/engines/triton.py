"""The Triton engine: the whole recipe on a GPU, fp16 tensor cores, one CUDA graph a tile of spectra.

A tile is a fixed number of spectra; all its rows (clean and draws) go through our kernels in
groups small enough for L2, and then together through the linear layers. Every launch has the same shape
whatever the batch, so a result does not depend on the batch it came in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.engines.ranges import LEAST_HEADROOM, fp16_headroom
from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.kernels import cleanup
from apnet_fast.kernels.conv import ToeplitzFilter, activations, conv, toeplitz_filter
from apnet_fast.kernels.halves import accurate_product, accurate_weight, diffused, product
from apnet_fast.kernels.pool import pool
from apnet_fast.kernels.stem import (
    CHANNELS,
    STORED_CHANNELS,
    TAPS,
    Preprocessing,
    joint_limit,
    joint_scratch,
    scratch,
    stem,
)
from apnet_fast.kernels.tuning import Tuning, table_for
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedV3, fold_v3
from apnet_fast.networks.kinds import Architecture
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import Predictions, Recipe, percentile_rank
from apnet_fast.support.errors import UsageError

# A segment of a group's activations: the longest layer (4289) and more zeros than a window reaches beyond it, in a
# multiple of every number of positions a tile may take.
_SEGMENT_STEP = 32
_GAP = 31
_PITCH_STEP = 32

# What the device does for each rule of `Recipe.missing_errors` that v3 recipes have.
_CLEAN_UPS: dict[str, Callable[[Tensor, Tensor, int], None]] = {
    "median": cleanup.cap_errors,
    "zero": cleanup.zero_missing,
}


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on CPU tensors, as in the tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _misfit(sizes: Architecture) -> str:
    """What the kernels cannot compute about a network; empty for the survey's and its like."""
    if isinstance(sizes, ArchitectureV3):
        powers_of_2 = all(channels & (channels - 1) == 0 for channels in sizes.channels)
        if powers_of_2 and (sizes.model_dim, sizes.kernel_size) == (CHANNELS, TAPS):
            return ""
    return (
        f"the kernels take v3 networks of {TAPS} taps whose channels are powers of 2, {CHANNELS} at first,"
        f" and these weights are {sizes}"
    )


def _clean_up_of(recipe: Recipe) -> Callable[[Tensor, Tensor, int], None]:
    if recipe.missing_errors not in _CLEAN_UPS:
        raise UsageError(
            "engine triton does not have this rule of error clean-up",
            got=f"{recipe.missing_errors}, of recipe {recipe.name}",
            expected=" | ".join(_CLEAN_UPS),
            remedy="--engine reference",
        )
    return _CLEAN_UPS[recipe.missing_errors]


def architecture_of(device: str) -> str:
    """Name of a device's architecture in the tuning tables: "sm90", "gfx942"."""
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return str(properties.gcnArchName).split(":")[0]
    return f"sm{properties.major}{properties.minor}"


class TritonEngine(Engine):
    """fp16 in our kernels; fp32, or weights that fp16 cannot hold, in plain torch on the same device."""

    name: ClassVar[str] = "triton"
    precisions: ClassVar[tuple[str, ...]] = ("fp16", "fp32")
    devices: ClassVar[tuple[str, ...]] = ("cuda",)

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        *,
        device: str = "cuda",
        precision: str = "fp16",
        tuning: Tuning | None = None,
    ) -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        _clean_up_of(recipe)
        self.precision = self.effective_precision(checkpoint, precision)
        self.strict = ReferenceEngine(checkpoint, recipe, device=device)
        self.tuning = tuning or self.tuning_for(device)
        self._pipelines: dict[tuple[int, int], _Pipeline] = {}

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """As `Engine.check`; in Triton's interpreter the device is the CPU."""
        if interpreted() and device == "cpu":
            super().check(precision, "cuda")
            return
        super().check(precision, device)
        check_gpu(device)

    @classmethod
    def effective_precision(cls, checkpoint: Checkpoint, precision: str) -> str:
        """fp32 in place of fp16, with a loud warning: for networks of other sizes than the kernels are made for, and
        where activations come too near to what fp16 holds.
        """
        if precision != "fp16":
            return precision
        why = _misfit(checkpoint.architecture)
        if not why and (headroom := fp16_headroom(checkpoint)) < LEAST_HEADROOM:
            why = (
                f"activations of these weights come within a factor {headroom:.1f} of what fp16 holds"
                f" (at least {LEAST_HEADROOM:.0f} wanted)"
            )
        if not why:
            return precision
        sys.stderr.write(f"WARNING: {why}; computing in fp32 instead, which is many times slower\n")
        return "fp32"

    @classmethod
    def tuning_for(cls, device: str) -> Tuning:
        """The table that a device will use."""
        return table_for("generic" if interpreted() else architecture_of(device))

    @classmethod
    def tuning_sha256(cls, device: str) -> str:
        """Hash of the table that a device will use."""
        return cls.tuning_for(device).sha256

    def seconds_per_spectrum(
        self, pixels: int, draws: int, measure: Callable[[Callable[[int], object]], float]
    ) -> float:
        """Return seconds per spectrum with everything on the device; measure(work) gives the seconds of work(i).

        For tuning and benchmarks. The spectra are noise around a level: what is computed does not depend on them.
        """
        pipeline = self._pipeline(pixels, draws)
        pipeline.fill_with_noise()
        return measure(pipeline.replay) / pipeline.spectra

    def _pipeline(self, pixels: int, draws: int) -> _Pipeline:
        if (pixels, draws) not in self._pipelines:
            self._pipelines[pixels, draws] = _Pipeline(self, pixels, draws)
        return self._pipelines[pixels, draws]

    def _clean(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return flux, error  # on the device, or by the strict engine

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        if self.precision == "fp32":
            return self.strict.predict(flux, error, keys, draws)
        outputs = self._pipeline(flux.shape[1], draws).run(flux, error, keys)
        labels = self.checkpoint.scaling.unscale(torch.from_numpy(outputs)).numpy()
        # Beyond fp16, not beyond the recipe: such a spectrum is computed again, in fp32.
        broken = np.flatnonzero(~np.isfinite(labels).all(axis=(1, 2)))
        if len(broken):
            again = self.strict.predict(flux[broken], error[broken], keys[broken], draws)
            labels[broken, 0], labels[broken, 1:] = again.clean, again.draws
        return self._predictions(labels)


@dataclass
class _Slot:
    """Buffers of one tile in flight: on the host (pinned on a GPU), on the device, and the captured graph."""

    host_flux: Tensor
    host_error: Tensor
    host_keys: Tensor
    host_outputs: Tensor
    flux: Tensor
    error: Tensor
    keys: Tensor
    outputs: Tensor
    graph: torch.cuda.CUDAGraph | None = None
    done: torch.cuda.Event | None = None
    spectra: int = 0


class _Pipeline:
    """Everything preallocated for spectra of one length and one number of draws."""

    def __init__(self, engine: TritonEngine, pixels: int, draws: int) -> None:
        self.device = torch.device(engine.device)
        self.on_gpu = self.device.type == "cuda"
        self.recipe, self.tuning = engine.recipe, engine.tuning
        self.pixels, self.draws, self.rows = pixels, draws, 1 + draws
        self.spectra = max(1, self.tuning.tile_rows // self.rows)
        self.tile_rows = self.spectra * self.rows
        self.group_rows = min(self.tuning.group_rows, self.tile_rows)
        self.length = (pixels + 1) // 2
        self.segment = -(-(self.length + 1 + _GAP) // _SEGMENT_STEP) * _SEGMENT_STEP
        self.how = _preprocessing(self.recipe, pixels, draws)
        self._load(fold_v3(engine.checkpoint, pixels))
        self._allocate()

    def _load(self, network: FoldedV3) -> None:
        """Weights in the form the kernels want, on the device."""
        self.stem_weight = network.first.weight[:, 0].float().contiguous().to(self.device)
        self.stem_map = network.first.bias.float().contiguous().to(self.device)
        self.blocks = []
        for number, (first, second) in enumerate(network.blocks):
            # The stem stores each channel as two halves, to be added: the first conv takes both with the same weights.
            weight = torch.cat([first.weight, first.weight], dim=1) if number == 0 else first.weight
            self.blocks.append((self._filter(weight, first.bias, 15), self._filter(second.weight, second.bias, 14)))
        self.pooled = network.pool
        # Pooled activations come position-major; the first linear layer's weights follow them.
        weight, bias = network.linear[0]
        channels = weight.shape[1] // self.pooled
        weight = weight.to(self.device).view(len(weight), channels, self.pooled).transpose(1, 2)
        self.first_linear = diffused(weight, dim=1).flatten(1).t().contiguous(), bias.to(self.device, torch.float32)
        self.hidden = [
            (accurate_weight(w.to(self.device)), b.to(self.device, torch.float32)) for w, b in network.linear[1:-1]
        ]
        weight, bias = network.linear[-1]
        self.last = accurate_weight(weight.to(self.device)), bias.to(self.device, torch.float32)

    def _filter(self, weight: Tensor, bias: Tensor, pad: int) -> ToeplitzFilter:
        config = self.tuning.conv(weight.shape[1], weight.shape[0])
        return toeplitz_filter(weight.to(self.device), bias.to(self.device), pad, config)

    def _allocate(self) -> None:
        widths = [STORED_CHANNELS, *(second.c_out for _, second in self.blocks)]
        device, group, segment = self.device, self.group_rows, self.segment
        # A buffer of its own for every layer: its zeros around the segments are written once, here.
        self.inputs = [activations(group, segment, width, device) for width in widths]
        self.middles = [activations(group, segment, width, device) for width in widths[1:]]
        self.scratch = scratch(group, self.pixels, device)
        self.features = torch.zeros(self.tile_rows, len(self.first_linear[0]), dtype=torch.float16, device=device)
        self.limits = torch.zeros(self.spectra, device=device)
        joint = self.how.joint and self.draws > 0
        self.values = joint_scratch(self.spectra, self.draws, self.pixels, device) if joint else None
        self.slots = [self._slot() for _ in range(2 if self.on_gpu else 1)]
        if self.on_gpu:
            # In and out apart: the next tile comes in while this one computes.
            self.copies_in = torch.cuda.Stream(self.device)
            self.copies_out = torch.cuda.Stream(self.device)
            self.compute = torch.cuda.Stream(self.device)
            for slot in self.slots:
                self._capture(slot)

    def _slot(self) -> _Slot:
        def pair(*shape: int, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            """A buffer on the host and its like on the device."""
            host = torch.zeros(shape, dtype=kind, pin_memory=self.on_gpu)
            return host, torch.zeros(shape, dtype=kind, device=self.device)

        pitch = -(-self.pixels // _PITCH_STEP) * _PITCH_STEP
        host_flux, flux = pair(self.spectra, pitch)
        host_error, error = pair(self.spectra, pitch)
        host_keys, keys = pair(self.spectra, kind=torch.uint64)
        host_outputs, outputs = pair(self.tile_rows, 3)
        return _Slot(host_flux, host_error, host_keys, host_outputs, flux, error, keys, outputs)

    def _capture(self, slot: _Slot) -> None:
        with torch.cuda.device(self.device), torch.cuda.stream(self.compute):
            self.compute_tile(slot, self.tile_rows)  # compiles every kernel
            self.compute.synchronize()
            slot.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(slot.graph, stream=self.compute):
                self.compute_tile(slot, self.tile_rows)
            slot.done = torch.cuda.Event()

    def compute_tile(self, slot: _Slot, rows: int) -> None:
        """Outputs of the first `rows` rows of a slot's spectra, from flux, error and keys on the device."""
        _clean_up_of(self.recipe)(slot.flux, slot.error, self.pixels)
        if self.values is not None:
            joint_limit(slot.flux, slot.error, slot.keys, self.limits, self.values, self.how, self.tuning.joint)
        for first in range(0, rows, self.group_rows):
            self.convolve(slot, first, min(self.group_rows, self.tile_rows - first))
        weight, bias = self.first_linear
        x = functional.relu_(product(self.features, weight).add_(bias))
        for weight, bias in self.hidden:
            x = functional.relu_(accurate_product(x, weight).add_(bias))
        weight, bias = self.last
        slot.outputs.copy_(accurate_product(x, weight).add_(bias))

    def convolve(self, slot: _Slot, first: int, rows: int) -> None:
        """Features of rows first .. first + rows - 1 of a slot."""
        stem(
            slot.flux,
            slot.error,
            slot.keys,
            self.limits,
            self.stem_weight,
            self.stem_map,
            self.scratch,
            self.inputs[0],
            first_row=first,
            rows=rows,
            draws=self.draws,
            segment=self.segment,
            how=self.how,
            config=self.tuning.stem,
        )
        for i, (conv1, conv2) in enumerate(self.blocks):
            x, middle, y = self.inputs[i], self.middles[i], self.inputs[i + 1]
            conv(x, conv1, middle, rows, self.segment, self.length + 1)
            conv(middle, conv2, y, rows, self.segment, self.length, residual=x, split_residual=i == 0)
        features = self.features[first : first + rows]
        pool(self.inputs[-1], features, rows, self.segment, self.length, self.pooled, self.tuning.pool)

    def fill_with_noise(self) -> None:
        """Put made-up spectra on the device."""
        generator = np.random.default_rng(0)
        shape = (self.spectra, self.pixels)
        for slot in self.slots:
            flux = generator.normal(500, 50, shape).astype(np.float32)
            keys = generator.integers(0, 2**63, self.spectra).astype(np.uint64)
            self._fill(slot, flux, np.full(shape, 5, dtype=np.float32), keys)
            self._copy_in(slot)

    def replay(self, number: int) -> None:
        """Compute a tile again from the spectra that are on the device."""
        slot = self.slots[number % len(self.slots)]
        if slot.graph is not None:
            slot.graph.replay()
        else:
            self.compute_tile(slot, self.tile_rows)

    def run(self, flux: NDArray[np.float32], error: NDArray[np.float32], keys: NDArray[np.uint64]) -> NDArray:
        """Network outputs float32 (n, 1 + draws, 3) of n spectra as read."""
        outputs = np.empty((len(flux), self.rows, 3), dtype=np.float32)
        waiting: list[tuple[_Slot, int]] = []
        for number, start in enumerate(range(0, len(flux), self.spectra)):
            if len(waiting) == len(self.slots):
                self._collect(*waiting.pop(0), outputs)
            slot = self.slots[number % len(self.slots)]
            part = slice(start, start + self.spectra)
            self._fill(slot, flux[part], error[part], keys[part])
            self._launch(slot)
            waiting.append((slot, start))
        for slot, start in waiting:
            self._collect(slot, start, outputs)
        return outputs

    def _fill(
        self, slot: _Slot, flux: NDArray[np.float32], error: NDArray[np.float32], keys: NDArray[np.uint64]
    ) -> None:
        slot.spectra = len(flux)
        slot.host_flux[: len(flux), : self.pixels] = torch.from_numpy(np.ascontiguousarray(flux))
        slot.host_error[: len(flux), : self.pixels] = torch.from_numpy(np.ascontiguousarray(error))
        slot.host_keys[: len(flux)] = torch.from_numpy(np.ascontiguousarray(keys))

    def _launch(self, slot: _Slot) -> None:
        if not self.on_gpu:
            self._copy_in(slot)
            self.compute_tile(slot, slot.spectra * self.rows)
            slot.host_outputs.copy_(slot.outputs)
            return
        assert slot.graph is not None
        assert slot.done is not None
        with torch.cuda.device(self.device):
            with torch.cuda.stream(self.copies_in):
                self._copy_in(slot)
            self.compute.wait_stream(self.copies_in)
            with torch.cuda.stream(self.compute):
                slot.graph.replay()
            self.copies_out.wait_stream(self.compute)
            with torch.cuda.stream(self.copies_out):
                slot.host_outputs.copy_(slot.outputs, non_blocking=True)
                slot.done.record(self.copies_out)

    def _copy_in(self, slot: _Slot) -> None:
        slot.flux.copy_(slot.host_flux, non_blocking=True)
        slot.error.copy_(slot.host_error, non_blocking=True)
        slot.keys.copy_(slot.host_keys, non_blocking=True)

    def _collect(self, slot: _Slot, start: int, outputs: NDArray) -> None:
        if slot.done is not None:
            slot.done.synchronize()
        rows = slot.host_outputs.numpy().reshape(self.spectra, self.rows, 3)
        outputs[start : start + slot.spectra] = rows[: slot.spectra]


def _preprocessing(recipe: Recipe, pixels: int, draws: int) -> Preprocessing:
    own = percentile_rank(pixels, recipe.quantile)
    joint = percentile_rank(pixels * max(draws, 1), recipe.quantile)
    return Preprocessing(
        pixels=pixels,
        floor=recipe.floor,
        clip=recipe.clip,
        joint=recipe.percentile_over == "spectrum",
        lower=own.lower,
        upper=own.upper,
        fraction=float(own.fraction),
        joint_lower=joint.lower,
        joint_upper=joint.upper,
        joint_fraction=float(joint.fraction),
    )
