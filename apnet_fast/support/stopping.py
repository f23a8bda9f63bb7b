"""Stop a run politely: the first signal lets the shard finish, the second ends the run at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from apnet_fast.support.errors import Stopped
from apnet_fast.support.progress import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A context in which SIGINT and SIGTERM ask to stop after the current piece of work, `unit`, which may change."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.requested = False
        self._before: dict[int, object] = {}

    def check(self) -> None:
        """Raise Stopped if a signal has asked for it."""
        if self.requested:
            raise Stopped("by a signal", remedy="give the same command again to go on")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise Stopped(f"by a second signal, inside a {self.unit}", remedy="give the same command again to go on")
        self.requested = True
        say(f"{signal.Signals(number).name}: stopping after this {self.unit}; once more to stop now and lose its work")

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; a run inside another program's thread keeps that program's.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
