"""Stop a run politely: the first signal lets the shard finish, the second ends the run at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

from apnet_fast.support.errors import Stopped
from apnet_fast.support.notices import say

# Batch systems send TERM, or USR1 some minutes before the end (Slurm's --signal); a lost terminal sends HUP.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# One request may come as several signals: `timeout` and shells send one to the process and one to its group.
_SECONDS_OF_ONE_REQUEST = 1.0


class StopRequest:
    """A context in which signals ask to stop after the current piece of work, `unit`, which may change.

    remedy: what to do about a run that was stopped.

    The signals are SIGINT, SIGTERM, SIGUSR1, and SIGHUP unless it is ignored, as under nohup.
    """

    def __init__(self, unit: str, remedy: str = "give the same command again to go on") -> None:
        self.unit, self.remedy = unit, remedy
        self.requested = False
        self._reason = Stopped("by a signal", remedy=remedy)
        self._asked = 0.0
        self._before: dict[int, object] = {}

    def check(self) -> None:
        """Raise Stopped if a signal, or `request`, has asked for it."""
        if self.requested:
            raise self._reason

    def request(self, reason: Stopped) -> None:
        """Ask to stop, from any thread, as a signal does. reason: what `check` raises."""
        self._reason, self.requested = reason, True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested:
            if number != signal.SIGINT and now - self._asked < _SECONDS_OF_ONE_REQUEST:
                return
            raise Stopped(f"by a second signal, inside a {self.unit}", remedy=self.remedy)
        self.requested, self._asked = True, now
        say(f"{signal.Signals(number).name}: stopping after this {self.unit}; once more to stop now and lose its work")

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; a run inside another program's thread keeps that program's.
        if threading.current_thread() is threading.main_thread():
            wanted = [number for number in STOP_SIGNALS if not _is_left_alone(number)]
            self._before = {number: signal.signal(number, self._handle) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _is_left_alone(number: int) -> bool:
    """Return whether whoever began this process wants a signal ignored, as nohup does; or another's C code has it."""
    return number == signal.SIGHUP and signal.getsignal(number) in (signal.SIG_IGN, None)
