"""Reasons are words of the catalogue, and a failure carries one."""

from __future__ import annotations

import pickle

import pytest

from apnet_fast.spectra.failures import ReadFailure, Reason


def test_reasons_are_written_as_plain_words() -> None:
    assert [str(reason) for reason in Reason] == [reason.name.lower() for reason in Reason]
    assert Reason("truncated") is Reason.TRUNCATED


def test_a_word_that_is_no_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        Reason("damaged")


def test_a_failure_carries_reason_text_and_hdu() -> None:
    failure = ReadFailure(Reason.BAD_LAYOUT, "HDU 2 is a table", hdu=2)
    assert (failure.reason, failure.text, failure.hdu, str(failure)) == (
        Reason.BAD_LAYOUT,
        "HDU 2 is a table",
        2,
        "HDU 2 is a table",
    )


def test_a_reason_survives_the_way_between_processes() -> None:
    assert pickle.loads(pickle.dumps(Reason.NO_DATA)) is Reason.NO_DATA
