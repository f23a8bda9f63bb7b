"""Compiled code is kept on disk; a cache that is damaged, full or read-only costs a warning and no run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast.support import compiled as module

CODE = """
from apnet_fast.support.compiled import compiled

@compiled
def twice(x):
    return 2 * x

@compiled
def four_times(x):
    return twice(twice(x))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that calls a compiled function."""
    (tmp_path / "made.py").write_text(CODE)
    path = tmp_path / "program.py"
    path.write_text("import made\nprint(made.four_times(3.0), made.four_times._cache_hits)\n")
    return path


def call(program: Path, cache: Path, **environment: str) -> tuple[str, str]:
    """What the program prints, and what it says on stderr; its exit code is 0."""
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def was_kept(said: str) -> bool:
    return "Counter({" in said and ": 1})" in said


@pytest.mark.slow
def test_code_is_kept_and_found_again(program: Path, tmp_path: Path) -> None:
    said, warned = call(program, tmp_path / "cache")
    assert said.startswith("12.0 Counter()")
    assert warned == ""
    assert was_kept(call(program, tmp_path / "cache")[0])


def changed(content: bytes) -> bytes:
    """Code in which one bit is another, near the end of the machine code."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:20], lambda content: b"\x80" + content, changed],
    ids=["empty", "cut", "shifted", "bit"],
)
def test_a_damaged_cache_is_compiled_again_and_healed(
    damage: Callable[[bytes], bytes], pattern: str, program: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    call(program, cache)
    files = list(cache.rglob(pattern))
    assert files
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    said, warned = call(program, cache)
    assert said.startswith("12.0")
    assert warned.count("warning: ") <= 1
    said, warned = call(program, cache)
    assert was_kept(said)
    assert warned == ""


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
def test_a_cache_of_pipes_is_compiled_again_and_healed(
    pattern: str, put_no_file: Callable[[Path], None], program: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    call(program, cache)
    for file in list(cache.rglob(pattern)):
        (file.parent / "pipe").unlink(missing_ok=True)
        put_no_file(file)
    said, warned = call(program, cache)
    assert said.startswith("12.0")
    assert warned.count("warning: ") <= 1
    said, warned = call(program, cache)
    assert was_kept(said)
    assert warned == ""


@pytest.mark.slow
def test_a_cache_on_a_full_disk_is_done_without(program: Path, tmp_path: Path) -> None:
    full = (
        "import errno, os\nfrom apnet_fast.support import compiled\n"
        "def fail(*given): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "compiled._CheckedFile._save_index = fail\n"
    )
    program.write_text(full + program.read_text())
    said, warned = call(program, tmp_path / "cache")
    assert said.startswith("12.0")
    assert warned.count("warning: ") == 1
    assert "No space left" in warned
    assert "NUMBA_CACHE_DIR" in warned


@pytest.mark.slow
def test_without_any_folder_it_compiles_and_warns_once(program: Path, tmp_path: Path) -> None:
    nowhere = "from numba.core import caching\ncaching.CacheImpl._locator_classes = []\n"
    program.write_text(nowhere + program.read_text())
    said, warned = call(program, tmp_path / "cache")
    assert said.startswith("12.0")
    assert warned.count("warning: there is no folder to keep compiled code in") == 1


def test_long_compiling_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "_SECONDS_TO_SPEAK", 0.02)
    compiling = module._Compiling()
    compiling.begin("somewhere")
    compiling.end()
    wait_for_timers()
    assert capsys.readouterr().err == ""  # quick
    for _ in range(2):
        compiling.begin("somewhere")
        wait_for_timers()
        compiling.end()
    assert capsys.readouterr().err.count("compiling for this processor") == 1


def wait_for_timers() -> None:
    import threading

    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)


def test_a_read_only_folder_is_no_reason_to_stop() -> None:
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    cache = module._NoCache(error)
    assert cache.load_overload(None, None) is None
    cache.save_overload(None, None)
