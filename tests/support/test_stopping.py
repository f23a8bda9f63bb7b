"""Polite stops: the first signal asks, the second ends, and handlers are put back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from apnet_fast.support.errors import Stopped
from apnet_fast.support.stopping import StopRequest


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(how: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
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
        with pytest.raises(Stopped, match="second signal, inside a table"):
            os.kill(os.getpid(), how)
    assert signal.getsignal(how) == before


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
