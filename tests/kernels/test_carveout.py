"""The carve-out is asked for once per kernel and value, by a fake driver."""

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
    monkeypatch.setattr(carveout, "_set", {})
    return made


def test_each_kernel_is_set_once(driver: Driver) -> None:
    for function in (11, 12, 11):
        carveout.carve_out(SimpleNamespace(function=function), 72)
    assert driver.calls == [(11, 9, 72), (12, 9, 72)]


def test_another_value_is_set_and_the_drivers_own_comes_back(driver: Driver) -> None:
    """The tuner times candidates that share a compiled function."""
    for percent in (0, 72, 72, 100, 0, 0, 72):
        carveout.carve_out(SimpleNamespace(function=11), percent)
    assert driver.calls == [(11, 9, 72), (11, 9, 100), (11, 9, -1), (11, 9, 72)]


def test_nothing_is_set_without_a_wish_or_a_kernel(driver: Driver) -> None:
    carveout.carve_out(SimpleNamespace(function=11), 0)
    carveout.carve_out(None, 72)
    assert driver.calls == []


def test_a_refusal_is_an_error(driver: Driver) -> None:
    driver.status = 1
    with pytest.raises(RuntimeError, match="carve-out of 72 %: error 1"):
        carveout.carve_out(SimpleNamespace(function=11), 72)
    # And is asked for again.
    driver.status = 0
    carveout.carve_out(SimpleNamespace(function=11), 72)
    assert len(driver.calls) == 2
