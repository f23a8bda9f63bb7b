"""Errors say what, got, expected, remedy and where."""

from __future__ import annotations

import pickle

from apnet_fast.support.errors import ApnetError, WeightsError


def test_all_parts_in_order() -> None:
    error = ApnetError("wrong shape", got=(1, 2), expected="(2, 2)", remedy="turn it", where="a.fits HDU 1")
    assert str(error) == "wrong shape; got (1, 2); expected (2, 2) [a.fits HDU 1]. Remedy: turn it"


def test_the_remedy_can_be_told_apart_also_in_another_process() -> None:
    error = pickle.loads(pickle.dumps(WeightsError("wrong shape", got=1, remedy="turn it", where="a")))
    assert (error.problem, error.remedy) == ("wrong shape; got 1 [a]", "turn it")
    assert str(error) == "wrong shape; got 1 [a]. Remedy: turn it"
    assert ApnetError("no input").remedy is None


def test_only_what_is_known() -> None:
    assert str(ApnetError("no input")) == "no input"
