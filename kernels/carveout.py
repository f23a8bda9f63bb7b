"""How a kernel divides the on-chip memory between shared memory and L1."""

from __future__ import annotations

import ctypes
from typing import Any

# CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT of the CUDA driver API.
_CARVEOUT = 9
_done: set[int] = set()


def carve_out(kernel: Any, percent: int) -> None:
    """Let shared memory take `percent` of the on-chip memory in later launches of a kernel; 0 changes nothing.

    kernel: what a launch returned; None, as in Triton's interpreter, is left alone. Triton asks for as much shared
    memory as there is, which leaves the loads that pass through L1 almost none. Raises RuntimeError if the driver
    refuses.
    """
    if not percent or kernel is None or kernel.function in _done:
        return
    driver = ctypes.CDLL("libcuda.so.1")
    status = driver.cuFuncSetAttribute(ctypes.c_void_p(kernel.function), _CARVEOUT, percent)
    if status:
        raise RuntimeError(f"the CUDA driver does not take a carve-out of {percent} %: error {status}")
    _done.add(kernel.function)
