"""Limits of the machine: memory, threads, processes; other errors are none."""

from __future__ import annotations

import errno
import os
import pickle

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


def test_an_error_for_want_of_memory_names_what_was_being_done() -> None:
    with pytest.raises(MemoryError, match=r"^while reading$") as raised, doing("a run"), doing("reading"):
        raise MemoryError
    assert "not enough memory while reading. Remedy" in str(as_limit(raised.value))
    again = pickle.loads(pickle.dumps(raised.value))  # as a worker sends it
    assert "while reading" in str(as_limit(again))
    with pytest.raises(MemoryError, match=r"^while the engine: 62 GiB$"), doing("the engine"):
        raise MemoryError("62 GiB")
