"""Polite stops: the first signal asks, the second ends, and handlers are put back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from apnet_fast.support.errors import Stopped
from apnet_fast.support.stopping import STOP_SIGNALS, StopRequest


@pytest.mark.parametrize("how", STOP_SIGNALS)
def test_the_first_signal_asks_and_the_second_ends(how: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    if signal.getsignal(how) == signal.SIG_IGN:  # as under nohup, which a run respects
        signal.signal(how, signal.SIG_DFL)
    before = signal.getsignal(how)
    with StopRequest("shard") as stop:
        stop.check()
        assert not stop.requested
        os.kill(os.getpid(), how)
        assert stop.requested
        assert f"{how.name}: stopping after this shard" in capsys.readouterr().err
        with pytest.raises(Stopped, match="same command again"):
            stop.check()
        stop.unit = "table"
        stop._asked -= 2
        with pytest.raises(Stopped, match="second signal, inside a table"):
            os.kill(os.getpid(), how)
    assert signal.getsignal(how) == before


def test_one_request_may_come_twice_but_not_from_the_keyboard() -> None:
    with StopRequest("shard") as stop:
        for how in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):  # as from a shell that ends with its terminal
            os.kill(os.getpid(), how)
        assert stop.requested
        with pytest.raises(Stopped, match="second signal"):
            os.kill(os.getpid(), signal.SIGINT)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest("shard") as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_keeps_the_handlers_of_its_program() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with StopRequest("step"):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
