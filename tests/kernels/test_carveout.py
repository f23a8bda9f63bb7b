"""The carve-out is asked for once per kernel, by a fake driver."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from apnet_fast.kernels import carveout


class Driver:
    """Records calls, and answers with a status."""

    def __init__(self, status: int = 0) -> None:
        self.calls: list[tuple[int, int, int]] = []
        self.status = status

    def cuFuncSetAttribute(self, function: ctypes.c_void_p, attribute: int, value: int) -> int:
        self.calls.append((function.value or 0, attribute, value))
        return self.status


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: made)
    monkeypatch.setattr(carveout, "_done", set())
    return made


def test_each_kernel_is_set_once(driver: Driver) -> None:
    for function in (11, 12, 11):
        carveout.carve_out(SimpleNamespace(function=function), 72)
    assert driver.calls == [(11, 9, 72), (12, 9, 72)]


def test_nothing_is_set_without_a_wish_or_a_kernel(driver: Driver) -> None:
    carveout.carve_out(SimpleNamespace(function=11), 0)
    carveout.carve_out(None, 72)
    assert driver.calls == []


def test_a_refusal_is_an_error(driver: Driver) -> None:
    driver.status = 1
    with pytest.raises(RuntimeError, match="carve-out of 72 %: error 1"):
        carveout.carve_out(SimpleNamespace(function=11), 72)
