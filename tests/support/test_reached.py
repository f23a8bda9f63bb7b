"""The digest of a compiled function follows what the function reaches, and nothing else."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from apnet_fast.support.reached import reached_digest

# A function, what it calls in its own folder and in another one, constants of both, a closure and an intrinsic.
FILES = {
    "digest_room/__init__.py": "",
    "digest_room/top.py": """
        from digest_room.near import LIMIT, near
        from digest_other.far import TABLE, far
        from digest_other.loop import make
        from apnet_fast.support.compiled import compiled

        UNUSED = 1
        emit = make(3)

        @compiled
        def top(x):
            return near(x) + far(x) + LIMIT + TABLE[0]

        @compiled
        def scaled(x):
            return emit(x)

        def neighbour(x):
            return x - 1
    """,
    "digest_room/near.py": """
        from apnet_fast.support.compiled import compiled

        LIMIT = 5

        @compiled
        def near(x):
            return x * 2

        def unused(x):
            return x
    """,
    "digest_other/__init__.py": "",
    "digest_other/far.py": """
        import numpy as np
        from numba import njit
        import digest_other.constants as constants

        TABLE = np.arange(4.0)

        @njit
        def far(x):
            return deeper(x) + constants.DEEP

        @njit
        def deeper(x):
            return x + 1
    """,
    "digest_other/constants.py": "DEEP = 10.0\nSHALLOW = 1.0\n",
    "digest_other/loop.py": """
        from numba import njit

        def make(times):
            @njit
            def emit(x):
                return x * times
            return emit
    """,
    "digest_other/vector.py": """
        from apnet_fast.engines.cpu.vectors import kernel, lanes_of
        from apnet_fast.support.compiled import compiled

        STEP = 1

        def body(kernel, source, out, count):
            shift = STEP
            out.store(source.load(count), count)

        copy = kernel(body)

        @compiled
        def run(source, out):
            copy(lanes_of(8), source, out, 8)
    """,
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Import a module of `FILES` from a fresh folder, with some text replaced: modules(name, file=(old, new))."""
    made = 0

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith(("digest_room", "digest_other"))]:
            del sys.modules[name]

    def load(name: str, changes: Mapping[str, tuple[str, str]] | None = None) -> ModuleType:
        nonlocal made
        made += 1
        root = tmp_path / str(made)
        for file, text in FILES.items():
            text = textwrap.dedent(text)
            if changes and file in changes:
                old, new = changes[file]
                assert text.count(old) == 1
                text = text.replace(old, new)
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        forget()
        importlib.invalidate_caches()
        with monkeypatch.context() as patched:
            patched.syspath_prepend(str(root))
            return importlib.import_module(name)

    yield load
    forget()


def digest(module: ModuleType, name: str) -> str:
    return reached_digest(getattr(module, name).py_func)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("digest_room/near.py", "LIMIT = 5", "LIMIT = 6"),
        ("digest_room/near.py", "return x * 2", "return x * 3"),
        ("digest_other/far.py", "arange(4.0)", "arange(4.0) + 1"),
        ("digest_other/far.py", "return x + 1", "return x + 2"),
        ("digest_other/constants.py", "DEEP = 10.0", "DEEP = 11.0"),
    ],
)
def test_whatever_is_reached_changes_the_digest(modules: Callable, file: str, old: str, new: str) -> None:
    first = digest(modules("digest_room.top"), "top")
    assert digest(modules("digest_room.top"), "top") == first, "the folder does not count"
    assert digest(modules("digest_room.top", {file: (old, new)}), "top") != first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("digest_room/top.py", "UNUSED = 1", "UNUSED = 2"),
        ("digest_room/top.py", "return x - 1", "return x - 2"),
        ("digest_room/near.py", "return x\n", "return -x\n"),
        ("digest_other/loop.py", "return x * times", "return x + times"),
        ("digest_other/constants.py", "SHALLOW = 1.0", "SHALLOW = 2.0"),
    ],
)
def test_what_is_not_reached_does_not(modules: Callable, file: str, old: str, new: str) -> None:
    first = digest(modules("digest_room.top"), "top")
    assert digest(modules("digest_room.top", {file: (old, new)}), "top") == first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("digest_room/top.py", "make(3)", "make(4)"), ("digest_other/loop.py", "return x * times", "return x + times")],
)
def test_constants_and_source_of_closures_count(modules: Callable, file: str, old: str, new: str) -> None:
    first = digest(modules("digest_room.top"), "scaled")
    assert digest(modules("digest_room.top", {file: (old, new)}), "scaled") != first


@pytest.mark.parametrize(
    ("old", "new"), [("source.load(count), count)", "source.load(count), count + count)"), ("STEP = 1", "STEP = 2")]
)
def test_the_body_of_an_intrinsic_counts(modules: Callable, old: str, new: str) -> None:
    first = digest(modules("digest_other.vector"), "run")
    assert digest(modules("digest_other.vector"), "run") == first
    assert digest(modules("digest_other.vector", {"digest_other/vector.py": (old, new)}), "run") != first


def test_code_on_disk_is_used_again_until_a_constant_elsewhere_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "digest_room_constants.py": "LIMIT = 5\n",
        "digest_room_user.py": (
            "from digest_room_constants import LIMIT\nfrom apnet_fast.support.compiled import compiled\n\n"
            "@compiled\ndef plus(x):\n    return x + LIMIT\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def plus() -> object:
        for name in files:
            sys.modules.pop(name.removesuffix(".py"), None)
        importlib.invalidate_caches()
        return importlib.import_module("digest_room_user").plus

    def hits(function: object) -> int:
        return sum(function.stats.cache_hits.values())  # type: ignore[attr-defined]

    first = plus()
    assert (first(1), hits(first)) == (6, 0)
    again = plus()
    assert (again(1), hits(again)) == (6, 1)
    (tmp_path / "digest_room_constants.py").write_text("LIMIT = 7\n")
    changed = plus()
    assert (changed(1), hits(changed)) == (8, 0)
