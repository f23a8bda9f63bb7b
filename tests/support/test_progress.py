"""Progress on stderr: rates, remaining time, and quiet where there is no terminal."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console

from apnet_fast.support import progress as module
from apnet_fast.support.notices import Volume, listening
from apnet_fast.support.progress import RunProgress, duration


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


def shown(progress: RunProgress) -> str:
    """What a terminal shows now."""
    assert progress._bar is not None
    text = StringIO()
    Console(file=text, width=200).print(progress._bar.get_renderable())
    return text.getvalue()


def test_a_terminal_has_the_remaining_time_from_the_first_piece_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if a piece takes longer than the 30 s from which rich would estimate a speed."""
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    clock = Clock(monkeypatch)
    with RunProgress(100, 20) as progress:
        assert "unknown time left" in shown(progress)
        clock.now += 120
        progress.advance(8, 16, 0)
        # 8 of the 80 files that were left took 120 s, so 72 take 1080 s.
        assert "28/100 files 0.1 spectra/s 18.0 min left" in " ".join(shown(progress).split())
        clock.now += 60  # of the next piece
        assert "17.0 min left" in shown(progress)
        clock.now += 6000
        assert "0 s left" in shown(progress)


@pytest.mark.parametrize(("volume", "lines"), [(Volume.QUIET, 0), (Volume.NORMAL, 1), (Volume.VERBOSE, 4)])
def test_lines_come_as_often_as_the_command_is_loud(
    volume: Volume, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with listening("x", volume=volume), RunProgress(100, 0) as progress:
        for _ in range(4):
            clock.now += 10
            progress.advance(1, 2, 0)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_quiet_terminal_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    with listening("x", volume=Volume.QUIET):
        assert RunProgress(10, 0)._bar is None


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1.0 min"), (7200, "2.0 h")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
