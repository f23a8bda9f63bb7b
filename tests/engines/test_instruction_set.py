"""What the CPU engines' libraries really use, and that `make test-lower-isa` holds every one of them to less."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.engines.instruction_set import instruction_set

LOWER = "APNET_FAST_TEST_ISA"
held_lower = pytest.mark.skipif(LOWER not in os.environ, reason=f"{LOWER} is set by make test-lower-isa alone")


def said(code: str, **variables: str) -> str:
    """What Python prints with these variables set."""
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, timeout=120
    ).stdout


def test_it_names_what_labels_depend_on() -> None:
    found = instruction_set("cpu")
    assert found.startswith("torch ")
    assert "numba " in found
    assert instruction_set("null") == instruction_set("triton", "cuda") == instruction_set("reference", "cuda") == ""


def test_libraries_that_are_held_to_less_are_another_set() -> None:
    code = "from apnet_fast.engines.instruction_set import instruction_set; print(instruction_set('cpu'))"
    own = said(code).strip()
    lower = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "SSE4_2"}
    assert said(code, **lower).strip() not in ("", own)
    assert said(code, NUMBA_CPU_NAME="nehalem", NUMBA_CPU_FEATURES="").strip() not in ("", own)
    assert own == instruction_set("cpu")


@held_lower
def test_torch_is_held_lower() -> None:
    import torch

    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT")


@held_lower
def test_numba_compiles_without_wide_vectors() -> None:
    from numba import njit

    @njit(fastmath=True)
    def total(values):  # type: ignore[no-untyped-def]
        result = np.float32(0)
        for i in range(values.shape[0]):
            result += values[i]
        return result

    assert total(np.ones(64, np.float32)) == 64
    (assembly,) = total.inspect_asm().values()
    assert "ymm" in assembly
    assert "zmm" not in assembly


@held_lower
def test_mkl_takes_its_compatible_code() -> None:
    """On processors that are not Intel's, MKL heeds MKL_CBWR=COMPATIBLE and none of the other words."""
    code = "import torch; a = torch.ones(64, 64); a @ a"
    printed = said(code, MKL_VERBOSE="1")
    if "MKL_VERBOSE" not in printed:
        pytest.skip("this torch has no MKL")
    assert "CNR:COMPATIBLE" in printed


@held_lower
def test_openblas_and_numpy_are_held_lower() -> None:
    libraries = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}
    for library in libraries:
        name = getattr(ctypes.CDLL(library), "scipy_openblas_get_corename64_", None)
        if name is not None:
            name.restype = ctypes.c_char_p
            assert name().decode().lower() in ("haswell", "zen")
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    assert not features.get("X86_V4", features.get("AVX512_SKX", False))


def onednn_instructions(**variables: str) -> str:
    """What oneDNN, which computes torch's convolutions, says that it uses at most."""
    code = "import torch; torch.nn.functional.conv1d(torch.ones(4, 16, 256), torch.ones(16, 16, 30))"
    found = re.search(r",cpu,isa:(.*)", said(code, ONEDNN_VERBOSE="1", **variables))
    if found is None or "Intel" not in found[1]:
        pytest.skip("this torch has no oneDNN for x86-64")
    return found[1]


@held_lower
def test_onednn_is_held_lower() -> None:
    assert "AVX-512" not in onednn_instructions()


def test_onednn_heeds_the_variable_that_holds_it() -> None:
    assert "AVX-512" not in onednn_instructions(ONEDNN_MAX_CPU_ISA="AVX2")
    assert "AVX" not in onednn_instructions(ONEDNN_MAX_CPU_ISA="SSE41")
    assert "ONEDNN_MAX_CPU_ISA=AVX2 " in (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
