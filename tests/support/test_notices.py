"""Warnings come once, and not at all from a process that is muted."""

from __future__ import annotations

import sys

import pytest

from apnet_fast.support import notices
from apnet_fast.support.notices import mute_warnings, say, warn_once


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_warned", set())


def test_say_writes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr().err == "hello\n"


def test_a_warning_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("no locks", "no locks", "no flush"):
        warn_once(text)
    assert capsys.readouterr().err == "warning: no locks\nwarning: no flush\n"
    for text in ("file a", "file b"):
        warn_once(text, about="files")
    assert capsys.readouterr().err == "warning: file a\n"


def test_a_muted_process_warns_later(capsys: pytest.CaptureFixture[str]) -> None:
    mute_warnings()
    warn_once("x")
    mute_warnings(False)
    assert capsys.readouterr().err == ""
    warn_once("x")
    assert capsys.readouterr().err == "warning: x\n"


def test_a_terminal_that_has_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    say("nobody hears this")
