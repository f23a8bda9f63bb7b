"""Limits of the machine: memory, threads, processes; other errors are none."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.limits import as_limit, doing


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory. Remedy"),
        (MemoryError("Unable to allocate 62 GiB"), "not enough memory: Unable to allocate 62 GiB"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "not enough memory"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "not enough memory"),
        (RuntimeError("can't start new thread"), "threads or processes"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "threads or processes"),
    ],
    ids=repr,
)
def test_limits_are_known(error: Exception, words: str) -> None:
    limit = as_limit(error)
    assert limit is not None
    assert words in str(limit)
    assert "Remedy" in str(limit)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a mistake"), ValueError("x"), OSError(errno.ENOENT, "x"), UsageError("x"), Stopped("x")],
    ids=repr,
)
def test_other_errors_are_none(error: Exception) -> None:
    assert as_limit(error) is None
    with pytest.raises(type(error)) as raised, doing("reading"):
        raise error
    assert raised.value is error


def raised(*errors: Exception, cause: bool = False) -> Exception:
    """The last of some errors, each raised while the one before was handled."""
    before: Exception | None = None
    for error in errors:
        error.__context__ = before
        if cause:
            error.__cause__ = before
        before = error
    assert before is not None
    return before


MAP = "libarrow.so.2600: failed to map segment from shared object"
LLVM = "Could not find/load shared object file 'libllvmlite.so' from resource location: 'llvmlite.binding'."


@pytest.mark.parametrize(
    "error",
    [
        ImportError(MAP),
        OSError(f"/x/{MAP}"),
        ImportError("libtorch_cpu.so: cannot map zero-fill pages: Cannot allocate memory"),
        OSError("libx.so: cannot apply additional memory protection after relocation: Cannot allocate memory"),
        raised(OSError("libllvmlite.so: failed to map segment from shared object"), OSError(LLVM)),
        raised(ImportError(MAP), ImportError("IMPORTANT: PLEASE READ THIS"), cause=True),
        raised(MemoryError(), ImportError("initialization failed")),
        raised(OSError(MAP), OSError(LLVM), ImportError("numba needs llvmlite")),
    ],
    ids=repr,
)
def test_libraries_that_find_no_room_are_a_limit(error: Exception) -> None:
    limit = as_limit(error)
    assert limit is not None
    assert "not enough memory to load a library" in str(limit)
    assert "ulimit -v" in str(limit)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'x'"),
        OSError(LLVM),
        raised(OSError("libllvmlite.so: cannot open shared object file: No such file or directory"), OSError(LLVM)),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        ImportError("libx.so: failed to map segment from shared object: Operation not permitted"),
        raised(ImportError(MAP), OSError(errno.ENOENT, "No such file", MAP)),
        raised(ImportError(MAP), ValueError("x")),
        raised(ImportError(MAP), UsageError("x")),
        OSError(errno.EACCES, "Permission denied", "failed to map segment"),
    ],
    ids=repr,
)
def test_libraries_that_fail_for_another_reason_are_no_limit(error: Exception) -> None:
    assert as_limit(error) is None


def test_errors_that_led_to_each_other_end_the_search() -> None:
    first, second = ImportError("a"), ImportError("b")
    first.__context__, second.__context__ = second, first
    assert as_limit(first) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's addresses is one of Linux")
def test_too_few_addresses_for_a_library_are_said_so_without_a_traceback(tmp_path: Path) -> None:
    """The program may take just so much that a library that it loads afterwards finds no room."""
    code = (
        "import resource, sys, typer\n"
        "from apnet_fast.support.console import run_app\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def load():\n"
        "    pages = int(open('/proc/self/statm').read().split()[0])\n"
        "    room = pages * resource.getpagesize() + 2**23\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (room, room))\n"
        "    import pyarrow\n"
        "run_app(app)\n"
    )
    (tmp_path / "load.py").write_text(code)
    done = subprocess.run([sys.executable, "load.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("stopped: not enough memory")
    assert "Traceback" not in done.stderr


def test_an_error_for_want_of_memory_names_what_was_being_done() -> None:
    with pytest.raises(MemoryError, match=r"^while reading$") as raised, doing("a run"), doing("reading"):
        raise MemoryError
    assert "not enough memory while reading. Remedy" in str(as_limit(raised.value))
    again = pickle.loads(pickle.dumps(raised.value))  # as a worker sends it
    assert "while reading" in str(as_limit(again))
    with pytest.raises(MemoryError, match=r"^while the engine: 62 GiB$"), doing("the engine"):
        raise MemoryError("62 GiB")
