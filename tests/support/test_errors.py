"""Errors say what, got, expected, remedy and where."""

from __future__ import annotations

from apnet_fast.support.errors import ApnetError


def test_all_parts_in_order() -> None:
    error = ApnetError("wrong shape", got=(1, 2), expected="(2, 2)", remedy="turn it", where="a.fits HDU 1")
    assert str(error) == "wrong shape; got (1, 2); expected (2, 2) [a.fits HDU 1]. Remedy: turn it"


def test_only_what_is_known() -> None:
    assert str(ApnetError("no input")) == "no input"
