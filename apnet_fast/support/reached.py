"""Find everything that a compiled function is made of: what it calls, and the constants it names, in any file."""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

_PACKAGE = __name__.partition(".")[0] + "."


@cache
def reached_digest(function: types.FunctionType) -> str:
    """Return a hash of all that a function is made of when numba compiles it.

    That is the source of the function and of every function it calls, by whatever route, and the values of the globals
    and closure variables that any of them names. Functions of numba, numpy and Python count by their names: numba keys
    its cache on its own version.
    """
    digest = hashlib.sha256()
    for text in _reached(function, set()):
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _reached(function: types.FunctionType, seen: set[object]) -> Iterator[str]:
    """Yield a text for each thing that a function reaches; each function once."""
    if function in seen:
        return
    seen.add(function)
    yield f"{function.__module__}.{function.__qualname__}"
    yield inspect.getsource(function)
    for name, value in sorted(_named(function).items()):
        yield name
        if isinstance(value, Dispatcher):
            yield from _reached(value.py_func, seen)
        elif isinstance(value, types.FunctionType):
            yield from _reached(value, seen)
        elif isinstance(getattr(value, "_defn", None), types.FunctionType):  # numba's intrinsics
            yield from _reached(value._defn, seen)
        else:
            yield _fingerprint(value)


def _named(function: types.FunctionType) -> dict[str, Any]:
    """Return the globals and closure variables that a function, or a function defined inside it, names."""
    values = {}
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
        values.update({name: function.__globals__[name] for name in code.co_names if name in function.__globals__})
        for module in [value for value in values.values() if _is_ours(value)]:
            inside = {name: vars(module)[name] for name in code.co_names if name in vars(module)}
            values.update({f"{module.__name__}.{name}": value for name, value in inside.items()})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a cell that is not filled yet
            values[name] = cell.cell_contents
    return values


def _is_ours(value: object) -> bool:
    """Return whether a value is a module whose functions and constants may change without a new numba."""
    root = value.__name__.partition(".")[0] if isinstance(value, types.ModuleType) else ""
    return root not in {"", "numpy", "numba", "llvmlite"} and root not in sys.stdlib_module_names


def _fingerprint(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic | tuple):
        return repr(value)
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if isinstance(value, type) and name.startswith(_PACKAGE):
        # A class may use anything of its module.
        return inspect.getsource(sys.modules[value.__module__])
    return name
