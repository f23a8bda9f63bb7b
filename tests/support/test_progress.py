"""Progress on stderr: rates, remaining time, and quiet where there is no terminal."""

from __future__ import annotations

import time

import pytest

from apnet_fast.support import progress as module
from apnet_fast.support.progress import RunProgress


class Clock:
    """A clock in place of the system's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_a_line_comes_now_and_then_with_rate_and_remaining_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with RunProgress(100, 10) as progress:
        clock.now += 10
        progress.advance(10, 40, 0)
        assert capsys.readouterr().err == ""
        clock.now += 30
        progress.advance(10, 40, 3)
    # 80 spectra in 40 s; 20 of the 90 files that were left took 40 s, so 70 take 140 s.
    assert capsys.readouterr().err == "30/100 files, 2.0 spectra/s, 3 without result, 2.3 min left\n"


def test_hours_are_said_as_hours_and_no_rate_as_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    progress = RunProgress(1000, 0)
    clock.now += 100
    progress.advance(0, 5, 0)
    assert "unknown time left" in capsys.readouterr().err
    clock.now += 100
    progress.advance(10, 5, 0)
    assert "5.5 h left" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    with RunProgress(10, 0, label="pack") as progress:
        progress.advance(4, 8, 1)
        assert progress._bar is not None
        (task,) = progress._bar.tasks
        assert (task.completed, task.total) == (4, 10)
        assert "1 without result" in task.fields["rate"]
