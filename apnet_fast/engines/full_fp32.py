"""Hold cuDNN to full fp32 and to kernels that repeat themselves, for as long as any thread needs it.

torch would convolve fp32 in TF32 on a GPU. Its switches are the process's, not a thread's: where engines of several
devices compute at once, the first sets them and the last puts them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch

_lock = Lock()
_switches = ExitStack()
_users = 0


@contextmanager
def full_fp32() -> Iterator[None]:
    """Compute in full fp32 within the block."""
    global _users
    with _lock:
        if _users == 0:
            # Benchmarking would choose kernels by the clock, so not repeatably.
            _switches.enter_context(
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            )
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _switches.close()
