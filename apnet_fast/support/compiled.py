"""`@compiled`: numba functions whose code is kept on disk until anything it is made of changes.

numba looks only at the file of a function. What the function calls in other files, and the constants it names, are
compiled into it and may change without numba seeing it, as after an update of a checkout. Results would then be those
of the old code. So the cache is also keyed on everything that a function really reaches (`support.reached`).

The cache is a comfort: whatever is wrong with its folder or files costs a warning and the time to compile, not a run.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

from apnet_fast.support.notices import say, warn_once
from apnet_fast.support.reached import reached_digest
from apnet_fast.support.regular_files import check_regular, opened_regular

# Part of every key: entries that other versions of this module wrote are not looked at.
_FORM = "code behind its sha256"
_SECONDS_TO_SPEAK = 2.0


def compiled(function: Callable[..., Any] | None = None, *, fastmath: bool = False) -> Any:
    """`numba.njit` without the GIL and with numpy's division, kept on disk if some place can be written to.

    fastmath: leave the order and rounding of operations to the compiler, for code whose last bits do not matter.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
        try:
            dispatcher._cache = _ReachedCache(function)
        except (RuntimeError, OSError) as error:  # nowhere to write
            dispatcher._cache = _NoCache(error)
        return dispatcher

    return decorate if function is None else decorate(function)


class _CheckedFile(IndexDataCacheFile):
    """numba's files of one function, with a checksum before the code.

    A file that was cut, mixed up or changed must never be run. numba itself would run it, or fail.
    """

    def save(self, key: Any, data: Any) -> None:
        self._key = key
        super().save(key, data)

    def load(self, key: Any) -> Any:
        self._key = key
        return super().load(key)

    def _load_index(self) -> Any:
        try:
            if os.path.lexists(self._index_path):
                check_regular(self._index_path)
            overloads = super()._load_index()
        except Exception as error:  # noqa: BLE001 - pickle raises almost anything for damaged bytes
            _warn(f"the index {self._index_path} is damaged", error)
            return {}
        return overloads if isinstance(overloads, dict) else {}

    def _save_data(self, name: str, data: Any) -> None:
        code = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(self._checksum(code))
            file.write(code)

    def _load_data(self, name: str) -> Any:
        with opened_regular(self._data_path(name)) as file:
            checksum, code = file.read(hashlib.sha256().digest_size), file.read()
        if checksum != self._checksum(code):
            raise ValueError(f"{self._data_path(name)} is not what was written")
        return pickle.loads(code)

    def _checksum(self, code: bytes) -> bytes:
        return hashlib.sha256(repr(self._key).encode() + b"\0" + code).digest()


class _ReachedCache(FunctionCache):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        plain = self._cache_file
        self._cache_file = _CheckedFile(plain._cache_path, self._impl.filename_base, plain._source_stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - an optional cache stops nothing, whatever numba raises for its files
            _warn("compiled code cannot be read back", error)
        if found is None:
            _compiling.begin(self.cache_path)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        _compiling.end()
        try:
            super().save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - as above; a full disk and a quota end here
            _warn(f"compiled code cannot be kept in {self.cache_path}", error)
            self.disable()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), reached_digest(self._py_func), _FORM)


class _NoCache(NullCache):
    """In place of a cache: compiles in every process, and warns if it has to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _compiling.begin(None)

    def save_overload(self, sig: Any, data: Any) -> None:
        _compiling.end()
        _warn("there is no folder to keep compiled code in", self._error)


def _warn(what: str, error: Exception) -> None:
    warn_once(
        f"{what} ({type(error).__name__}: {error}); compiling again takes about 20 s in each process"
        " (NUMBA_CACHE_DIR names another folder for it)",
        about="compiled code",
    )


class _Compiling:
    """Says once, after some seconds, that the program compiles and is not stuck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._waiting = self._said = False

    def begin(self, folder: str | None) -> None:
        """Note that a function is being compiled, perhaps during another's compilation."""
        with self._lock:
            self._under_way += 1
            if self._said or self._waiting:
                return
            self._waiting = True
        timer = threading.Timer(_SECONDS_TO_SPEAK, self._speak, [folder])
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """Note that the innermost function is compiled."""
        with self._lock:
            self._under_way = max(self._under_way - 1, 0)

    def _speak(self, folder: str | None) -> None:
        with self._lock:
            self._waiting = False
            if not self._under_way:
                return
            self._said = True
        kept = f"once: the code is kept in {folder}" if folder else "in each process: there is no folder to keep it in"
        say(f"compiling for this processor, some 20 s, {kept}")


_compiling = _Compiling()
