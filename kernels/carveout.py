"""How a kernel divides the on-chip memory between shared memory and L1."""

from __future__ import annotations

import ctypes
from typing import Any

# CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT of the CUDA driver API, and its value that leaves the choice to
# the driver.
_CARVEOUT, _OF_THE_DRIVER = 9, -1
# What each function was set to. The tuner's candidates share a function if nothing but their carve-out differs.
_set: dict[int, int] = {}


def carve_out(kernel: Any, percent: int) -> None:
    """Let shared memory take `percent` of the on-chip memory in later launches of a kernel; 0 leaves it to the driver.

    kernel: what a launch returned; None, as in Triton's interpreter, is left alone. Triton asks for as much shared
    memory as there is, which leaves the loads that pass through L1 almost none. Raises RuntimeError if the driver
    refuses.
    """
    if kernel is None or _set.get(kernel.function, 0) == percent:
        return
    driver = ctypes.CDLL("libcuda.so.1")
    status = driver.cuFuncSetAttribute(ctypes.c_void_p(kernel.function), _CARVEOUT, percent or _OF_THE_DRIVER)
    if status:
        raise RuntimeError(f"the CUDA driver does not take a carve-out of {percent} %: error {status}")
    _set[kernel.function] = percent
