"""Compile every launch of the engine ahead of time, for GPUs that are not here, and read what came out.

The launches are recorded from the launchers themselves, on meta tensors, so what is compiled is what runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from apnet_fast.kernels import cleanup, conv, pool, stem
from apnet_fast.kernels.activations import Activations, activations, segment_length
from apnet_fast.kernels.toeplitz import toeplitz_filter
from apnet_fast.kernels.tuning import Tuning
from apnet_fast.support.grid import PIXELS

# Shared memory a program may have, bytes, and the matrix instruction that tensor cores of the chip take.
_CHIPS: dict[str, tuple[GPUTarget, int, str]] = {
    "sm80": (GPUTarget("cuda", 80, 32), 166_912, r"\bHMMA\.\S+"),
    "sm90": (GPUTarget("cuda", 90, 32), 232_448, r"\bHGMMA\.\S+"),
    "sm100": (GPUTarget("cuda", 100, 32), 232_448, r"\bUTC\w*MMA\S*"),
    "sm120": (GPUTarget("cuda", 120, 32), 101_376, r"\bHMMA\.\S+"),
    "gfx942": (GPUTarget("hip", "gfx942", 64), 65_536, r"\bv_mfma_\S+"),
}
ARCHITECTURES = tuple(_CHIPS)
_KERNELS = (
    (cleanup, "cap_errors_kernel"),
    (stem, "joint_limit_kernel"),
    (stem, "stem_kernel"),
    (conv, "clean_conv_kernel"),
    (conv, "draw_conv_kernel"),
    (pool, "pool_kernel"),
)
_TYPES = {
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.int32: "*i32",
    torch.uint64: "*u64",
}
# The survey's network: spectrum, channels of its blocks, pooled length, draws.
_CHANNELS, _POOLED, _DRAWS = (4, 8, 16, 32, 64), 1024, 20
_LENGTH, _PITCH = 4288, 8576


@dataclass(frozen=True)
class Launch:
    """One recorded launch: the kernel, types of its run-time arguments, constants, options, number of programs."""

    label: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    options: dict[str, int]
    programs: int


@dataclass(frozen=True)
class Compiled:
    """What the compiler made of a launch. matrix: matrix instructions in the machine code, and one of them."""

    label: str
    architecture: str
    config: str
    registers: int
    stack: int
    local: int
    shared: int
    shared_limit: int
    matrix: int
    instruction: str

    @property
    def faults(self) -> list[str]:
        """Why this must not be shipped; empty if nothing speaks against it."""
        found = []
        if self.stack or self.local:
            found.append(f"spills: {self.stack} bytes of stack, {self.local} of local memory")
        if self.shared > self.shared_limit:
            found.append(f"{self.shared} bytes of shared memory, the chip has {self.shared_limit}")
        if self.label.startswith("conv") and not self.matrix:
            found.append("no matrix instructions")
        return found


class _Recorder:
    """Stands in for a kernel and notes how it is launched."""

    def __init__(self, kernel: Any, into: list[tuple[Any, tuple, dict]]) -> None:
        self._kernel, self._into = kernel, into

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        programs = prod(grid)
        return lambda *args, **kwargs: self._into.append((self._kernel, args, kwargs | {"programs": programs}))


def launches(tuning: Tuning) -> list[Launch]:
    """Every launch of the survey's network under a tuning table, joint percentile included."""
    recorded: list[tuple[str, Any, tuple, dict]] = []
    with ExitStack() as stack:
        calls: list[tuple[Any, tuple, dict]] = []
        for module, name in _KERNELS:
            stack.enter_context(patch.object(module, name, _Recorder(getattr(module, name), calls)))
        for label in _call_all(tuning):
            recorded.extend((label, *call) for call in calls)
            calls.clear()
    return [_as_launch(*entry) for entry in recorded]


def _call_all(tuning: Tuning) -> Iterator[str]:
    """Call each launcher once on meta tensors; yields the label of what was just launched."""
    spectra = max(1, tuning.tile_rows // (1 + _DRAWS))
    rows = spectra * _DRAWS

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    flux, error = empty(spectra, _PITCH), empty(spectra, _PITCH)
    keys, limits = empty(spectra, dtype=torch.uint64), empty(spectra)
    cleanup.cap_errors(flux, error, PIXELS)
    yield "clean-up"
    blocks = []
    for c_in, c_out in pairwise(_CHANNELS):
        filters = []
        for source, pad in ((c_in, 15), (c_out, 14)):
            config = tuning.conv(source, c_out)
            filters.append(toeplitz_filter(empty(c_out, source, 30), empty(c_out), pad, config))
        blocks.append(filters)
    segment = segment_length(_LENGTH, [filter.window for block in blocks for filter in block])

    def buffer(segments: int, channels: int, lead: int, planes: int) -> Activations:
        return activations(segments, segment, channels, lead, "meta", planes)

    given = stem.StemInput(flux, error, keys, limits, empty(4, 30), empty(4, PIXELS + 1))
    clean = empty(spectra, _LENGTH, stem.CHANNELS)
    values = stem.joint_scratch(spectra, _DRAWS, PIXELS, "meta")
    processed = stem.scratch(rows, PIXELS, "meta")
    for joint in (False, True):
        how = stem.Preprocessing(PIXELS, 1e-6, float(joint), joint, 8145, 8146, 0.3, 162924, 162925, 0.05)
        if joint:
            stem.joint_limit(flux, error, keys, limits, values, how, tuning.joint)
            yield "joint limit"
        else:
            stem.clean_stem(given, processed, clean, buffer(spectra, stem.CHANNELS, 15, 2), how, tuning.stem)
            yield "stem clean"
        stem.draw_stem(given, processed, clean, buffer(rows, stem.CHANNELS, 15, 1), _DRAWS, how, tuning.stem)
        yield "stem joint" if joint else "stem"
    for filters in blocks:
        for filter, lengthened in zip(filters, (1, 0), strict=True):
            z, length = empty(spectra, segment, filter.c_out), _LENGTH + lengthened
            name = f"{filter.c_in}-{filter.c_out}" + ("" if lengthened else " + residual")
            for planes, segments in ((2, spectra), (1, tuning.group_rows)):
                x = buffer(segments, filter.c_in, filter.window.pad, planes)
                y = buffer(segments, filter.c_out, 29 - filter.window.pad, planes)
                residual = None if lengthened else buffer(segments, filters[0].c_in, 15, planes)
                if planes == 2:
                    conv.clean_conv(x, filter, z, y, length, tuning.clean, residual)
                    yield f"conv clean {name}"
                else:
                    conv.draw_conv(x, filter, z, y, length, first=0, draws=_DRAWS, residual=residual)
                    yield f"conv {name}"
    for planes in (2, 1):
        features = empty(rows, _CHANNELS[-1] * _POOLED, dtype=torch.float16)
        low = features if planes == 2 else None
        pool.pool(buffer(rows, _CHANNELS[-1], 15, planes), features, _LENGTH, _POOLED, tuning.pool, low)
        yield "pool clean" if planes == 2 else "pool"


def _as_launch(label: str, kernel: Any, args: tuple, kwargs: dict) -> Launch:
    programs = kwargs.pop("programs")
    options = {name: kwargs.pop(name) for name in ("num_warps", "num_stages", "enable_fp_fusion") if name in kwargs}
    types = {}
    for name, value in zip(kernel.arg_names, args, strict=False):
        types[name] = (
            _TYPES[value.dtype] if isinstance(value, Tensor) else "fp32" if isinstance(value, float) else "i32"
        )
    return Launch(label, kernel, types, dict(kwargs), options, programs)


def compile_launch(launch: Launch, architecture: str) -> Compiled:
    """Compile a launch for an architecture of `ARCHITECTURES`; no GPU is needed.

    Raises what the compiler raises.
    """
    target, shared_limit, pattern = _CHIPS[architecture]
    signature = {**launch.types, **dict.fromkeys(launch.constants, "constexpr")}
    # Without these hints, which the run-time launcher derives from addresses, another and slower kernel is compiled.
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(launch.types.values()) if kind[0] == "*"}
    source = ASTSource(launch.kernel, signature, launch.constants, aligned)
    kernel = triton.compile(source, target=target, options=dict(launch.options))
    if target.backend == "hip":
        code = kernel.asm["amdgcn"]
        used = {name: int(number) for name, number in re.findall(r"\.(\w+):\s+(\d+)", code)}
        registers, stack, local = used["vgpr_count"], used["private_segment_fixed_size"], used["vgpr_spill_count"]
    else:
        code, (registers, stack, local) = _read_cubin(kernel.asm["cubin"])
    found = re.findall(pattern, code)
    config = " ".join(
        [
            "x".join(str(launch.constants[k]) for k in ("BLOCK_M", "BLOCK_N", "BLOCK_K") if k in launch.constants),
            *(f"{name[4:]} {value}" for name, value in launch.options.items() if name.startswith("num_")),
        ]
    ).strip()
    return Compiled(
        launch.label,
        architecture,
        config,
        registers,
        stack,
        local,
        kernel.metadata.shared,
        shared_limit,
        len(found),
        found[0] if found else "",
    )


def _read_cubin(cubin: bytes) -> tuple[str, tuple[int, int, int]]:
    """Machine code as text, and registers, stack and local memory, by the tools that come with Triton."""
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kernel.cubin")
        Path(path).write_bytes(cubin)
        usage = _output(tools / "cuobjdump", "-res-usage", path)
        code = _output(tools / "nvdisasm", "-c", path)
    match = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", usage)
    if match is None:
        raise RuntimeError(f"cuobjdump says nothing of the kernel's resources: {usage[:200]!r}")
    registers, stack, local = map(int, match.groups())
    return code, (registers, stack, local)


def _output(*command: object) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
