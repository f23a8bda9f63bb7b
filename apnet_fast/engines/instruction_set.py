"""Which instructions the libraries of the CPU engines really use: labels depend on them in their last digits.

The order of sums in a matrix product or a transform follows the width of the vectors. So two kinds of processors give
labels that differ by some 1e-5, and a run must not mix them unnoticed.
"""

from __future__ import annotations

import os
from typing import Any

# Engines that compute on the CPU, whatever the device.
_CPU_ENGINES = ("cpu", "reference")
_WIDTHS = ("avx512f", "avx2", "avx", "sse2", "neon")


def instruction_set(engine: str, device: str = "cpu") -> str:
    """Return what the libraries of an engine use here, such as "torch AVX512, numba avx512f, GenuineIntel".

    "" for engines whose labels come from a GPU or from nowhere ("null"). The name of the processor's maker is part of
    it, since MKL chooses its code by that too, and so are the variables that hold MKL to another choice.
    """
    if engine not in _CPU_ENGINES or not device.startswith("cpu"):
        return ""
    import torch

    parts = [f"torch {torch.backends.cpu.get_cpu_capability()}", f"numba {_numba()}", _maker()]
    parts += [f"{name}={os.environ[name]}" for name in ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS") if name in os.environ]
    return ", ".join(filter(None, parts))


def _numba() -> str:
    """Return the widest vectors that numba compiles for, or the processor that it is held to.

    A processor's name alone holds numba to nothing: it still takes the features of the host unless they are set too.
    """
    import llvmlite.binding as llvm
    import numba

    config: Any = numba.config
    features = config.CPU_FEATURES
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    there = {word.lstrip("+") for word in features.split(",") if word.startswith("+")}
    return next((width for width in _WIDTHS if width in there), config.CPU_NAME or "")


def _maker() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("vendor_id")), "")
    except OSError:
        return ""
