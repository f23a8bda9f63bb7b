"""`@compiled`: numba functions whose code is kept on disk for as long as no source it is made of changes.

numba looks at the file a function stands in. What that function calls, from other files, is compiled into it and may
change without numba seeing it, as after an update of a checkout: results would then be those of the old code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_PACKAGE = Path(__file__).parent


def _digest_of_sources() -> str:
    """Hash of every file that holds compiled functions, or code that writes some."""
    files = [_PACKAGE / "compiled.py", _PACKAGE / "philox.py", *sorted((_PACKAGE / "engines" / "cpu").glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


_DIGEST = _digest_of_sources()


class _SourceCache(FunctionCache):
    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _DIGEST)


def compiled(function: Callable[..., Any]) -> Any:
    """`numba.njit` without the GIL and with numpy's division, kept on disk where some place can be written to."""
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # nowhere to write: compiled anew in every process
        dispatcher._cache = _SourceCache(function)
    return dispatcher
