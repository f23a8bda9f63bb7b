"""Compile every launch of the engine ahead of time, for GPUs that are not here, and read what came out.

The launches are recorded from the launchers themselves, on meta tensors, so what is compiled is what runs.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import struct
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.errors import TritonError

from apnet_fast.kernels import cleanup, conv, pool, stem
from apnet_fast.kernels.activations import Activations, activations, segment_length
from apnet_fast.kernels.toeplitz import toeplitz_filter
from apnet_fast.kernels.tuning import Tuning
from apnet_fast.support.grid import PIXELS


@dataclass(frozen=True)
class _Chip:
    """A GPU that is not here. shared: memory a program may have, bytes; matrix: pattern of the instruction that its
    tensor cores take; code: the name that the disassembler has for its machine code.
    """

    target: GPUTarget
    shared: int
    matrix: str
    code: str = ""


_CHIPS = {
    "sm80": _Chip(GPUTarget("cuda", 80, 32), 166_912, r"\bHMMA\.\S+", "SM80"),
    "sm90": _Chip(GPUTarget("cuda", 90, 32), 232_448, r"\bHGMMA\.\S+", "SM90a"),
    "sm100": _Chip(GPUTarget("cuda", 100, 32), 232_448, r"\bUTC\w*MMA\S*", "SM100a"),
    "sm120": _Chip(GPUTarget("cuda", 120, 32), 101_376, r"\bHMMA\.\S+", "SM120a"),
    "gfx942": _Chip(GPUTarget("hip", "gfx942", 64), 65_536, r"\bv_mfma_\S+"),
}
ARCHITECTURES = tuple(_CHIPS)
_INSTRUCTION_BYTES = 16  # of every chip since sm70
_MOST_PROCESSES = 8  # each takes half a GB
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
_LENGTH, _PITCH = stem.length_of(PIXELS), stem.pitch_of(PIXELS)


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
    """What the compiler made of a launch.

    matrix, instruction: matrix instructions in the machine code, and one of them; instructions: all there are. A
    loop's count once.
    """

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
    instructions: int

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
    """Return every launch of the survey's network under a tuning table, joint percentile included."""
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
    for planes, segments in ((2, spectra), (1, tuning.group_rows)):
        features = empty(segments, _CHANNELS[-1] * _POOLED, dtype=torch.float16)
        low = features if planes == 2 else None
        pool.pool(buffer(segments, _CHANNELS[-1], 15, planes), features, _LENGTH, _POOLED, tuning.pool, low)
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


def compile_launches(wanted: Sequence[tuple[Launch, str]]) -> Iterator[Compiled]:
    """Compile launches, each for an architecture of `ARCHITECTURES`, in their order; no GPU is needed.

    One process per core compiles, each different launch once; launches of one architecture that follow each other are
    disassembled together. Raises RuntimeError, which names launch and architecture, if the compiler fails.
    """
    keys = [_key(*pair) for pair in wanted]
    distinct = dict(zip(keys, wanted, strict=True))
    # Kernels cannot be sent to a process, but are there in one that forks.
    with ProcessPoolExecutor(
        min(len(os.sched_getaffinity(0)), _MOST_PROCESSES),
        multiprocessing.get_context("fork"),
        initializer=_start_process,
        initargs=(distinct,),
    ) as pool:
        built = {key: pool.submit(_build, key) for key in distinct}
        for architecture, group in groupby(zip(keys, wanted, strict=True), key=lambda entry: entry[1][1]):
            pairs = [(launch, built[key].result()) for key, (launch, _) in group]
            for (launch, found), said in zip(
                pairs, _matrix_instructions([found for _, found in pairs], architecture), strict=True
            ):
                yield _as_compiled(launch, architecture, found, said)


@dataclass(frozen=True)
class _Built:
    """What the compiler made: registers, bytes of stack, local and shared memory; machine code, as text or as bits."""

    registers: int
    stack: int
    local: int
    shared: int
    code: str | bytes


_launches: dict[str, tuple[Launch, str]] = {}


def _start_process(wanted: dict[str, tuple[Launch, str]]) -> None:
    _launches.update(wanted)
    gc.freeze()  # what was imported stays: looking through it again and again takes a tenth of the time


def _key(launch: Launch, architecture: str) -> str:
    """Return a key that is equal for launches which compile to the same code."""
    return repr((launch.kernel.__name__, launch.types, launch.constants, launch.options, architecture))


def _build(key: str) -> _Built:
    launch, architecture = _launches[key]
    target = _CHIPS[architecture].target
    signature = {**launch.types, **dict.fromkeys(launch.constants, "constexpr")}
    # Without these hints, which the run-time launcher derives from addresses, another and slower kernel is compiled.
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(launch.types.values()) if kind[0] == "*"}
    source = ASTSource(launch.kernel, signature, launch.constants, aligned)
    try:
        kernel = triton.compile(source, target=target, options=dict(launch.options))
    except (TritonError, RuntimeError) as problem:  # Triton's own cannot be sent between processes
        raise RuntimeError(f"{launch.label} for {architecture}: {problem}") from None
    shared = kernel.metadata.shared
    if target.backend == "hip":
        code = kernel.asm["amdgcn"]
        used = {name: int(number) for name, number in re.findall(r"\.(\w+):\s+(\d+)", code)}
        return _Built(used["vgpr_count"], used["private_segment_fixed_size"], used["vgpr_spill_count"], shared, code)
    cubin = kernel.asm["cubin"]
    return _Built(*_resources(cubin), shared, _machine_code(cubin))


def _as_compiled(launch: Launch, architecture: str, built: _Built, matrix: list[str]) -> Compiled:
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
        built.registers,
        built.stack,
        built.local,
        built.shared,
        _CHIPS[architecture].shared,
        len(matrix),
        matrix[0] if matrix else "",
        len(re.findall(r"^\s+[vs]_\w+", built.code, re.MULTILINE))
        if isinstance(built.code, str)
        else len(built.code) // _INSTRUCTION_BYTES,
    )


def _resources(cubin: bytes) -> tuple[int, int, int]:
    """Return registers, bytes of stack and of local memory, by a tool that comes with Triton."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _tool("cuobjdump", "-res-usage", file.name)
    match = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", usage)
    if match is None:
        raise RuntimeError(f"cuobjdump says nothing of the kernel's resources: {usage[:200]!r}")
    registers, stack, local = map(int, match.groups())
    return registers, stack, local


def _machine_code(cubin: bytes) -> bytes:
    """Return the instructions of the one kernel in a cubin, which is an ELF file of 64 bits."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, number, names = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(number)]
    first_name = sections[names][4]
    found = [
        cubin[offset : offset + length]
        for name, _, _, _, offset, length in sections
        if cubin.startswith(b".text.", first_name + name)
    ]
    if len(found) != 1:
        raise RuntimeError(f"a cubin with {len(found)} functions, expected one")
    return found[0]


def _matrix_instructions(built: Sequence[_Built], architecture: str) -> list[list[str]]:
    """Return the matrix instructions in the machine code of some kernels of one architecture."""
    pattern = _CHIPS[architecture].matrix
    texts = [found.code for found in built if isinstance(found.code, str)]
    if texts:
        return [re.findall(pattern, text) for text in texts]
    codes = [found.code for found in built if isinstance(found.code, bytes)]
    # The disassembler takes longer to start than to read a kernel: it gets all of them as one run of instructions.
    ends = list(accumulate(map(len, codes)))
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(b"".join(codes))
        file.flush()
        text = _tool("nvdisasm", "--binary", _CHIPS[architecture].code, file.name)
    instructions = re.findall(r"/\*([0-9a-f]{4,})\*/\s+(.*)", text)
    if len(instructions) * _INSTRUCTION_BYTES != ends[-1]:
        raise RuntimeError(
            f"nvdisasm read {len(instructions)} instructions of {architecture}, "
            f"expected {ends[-1] // _INSTRUCTION_BYTES}: {text[:200]!r}"
        )
    out: list[list[str]] = [[] for _ in built]
    for address, instruction in instructions:
        out[bisect_right(ends, int(address, 16))].extend(re.findall(pattern, instruction))
    return out


def _tool(name: str, *arguments: str) -> str:
    """Run a tool that comes with Triton and return what it prints."""
    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    return subprocess.run([str(path), *arguments], capture_output=True, text=True, check=True).stdout
