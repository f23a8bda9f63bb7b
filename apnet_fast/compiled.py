"""`@compiled`: numba functions whose code is kept on disk for as long as no source it is made of changes.

numba looks at the file a function stands in. What that function calls, from other files, is compiled into it and may
change without numba seeing it, as after an update of a checkout: results would then be those of the old code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_PACKAGE = Path(__file__).parent
# What functions of any folder may call.
_SHARED = (_PACKAGE / "compiled.py", _PACKAGE / "philox.py")


@cache
def _digest_of_sources(folder: Path) -> str:
    """Hash of the sources in a folder, and of those that every folder may use."""
    files = [*_SHARED, *sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _SourceCache(FunctionCache):
    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        folder = Path(self._py_func.__code__.co_filename).parent
        return (*super()._index_key(sig, codegen), _digest_of_sources(folder))


def compiled(function: Callable[..., Any] | None = None, *, fastmath: bool = False) -> Any:
    """`numba.njit` without the GIL and with numpy's division, kept on disk where some place can be written to.

    A function may call those of its own folder and of `philox.py`. fastmath: order and rounding of operations are left
    to the compiler, where bits do not matter.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
        with suppress(RuntimeError):  # nowhere to write: compiled anew in every process
            dispatcher._cache = _SourceCache(function)
        return dispatcher

    return decorate if function is None else decorate(function)
