"""Show on stderr how a run goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from apnet_fast.support.notices import Volume, say, volume

_SECONDS_BETWEEN_LINES = {Volume.QUIET: 30.0, Volume.NORMAL: 30.0, Volume.VERBOSE: 5.0}


class RunProgress:
    """Counts files, spectra and failures of a run, and shows rate and remaining time beside `label`.

    The remaining time is that of the mean rate since the start: it is there from the first piece of work on, however
    long the pieces take. (An estimate from the last seconds alone has no value for pieces that take longer.)
    """

    def __init__(self, files: int, files_done: int, *, label: str = "reprocess") -> None:
        self._files, self._done = files, files_done
        self._begun_with = files_done
        self._spectra = self._failures = 0
        self._start = self._last_line = self._last_piece = time.monotonic()
        self._bar = None
        if sys.stderr.isatty() and volume() > Volume.QUIET:
            self._bar = Progress(
                TextColumn(label),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("files  {task.fields[rate]}"),
                _Left(self),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=files, completed=files_done, rate="")

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def advance(self, files: int, spectra: int, failures: int) -> None:
        """Add what was computed since the last call."""
        self._done += files
        self._spectra += spectra
        self._failures += failures
        self._last_piece = time.monotonic()
        if self._bar is not None:
            with suppress(OSError):
                self._bar.update(self._task, completed=self._done, rate=self._rate_text())
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES[volume()]:
            self._last_line = time.monotonic()
            say(f"{self._done}/{self._files} files, {self._rate_text()}, {self.remaining} left")

    def _rate_text(self) -> str:
        text = f"{self._spectra / max(self.seconds, 1e-9):.1f} spectra/s"
        return f"{text}, {self._failures} without result" if self._failures else text

    @property
    def remaining(self) -> str:
        """The remaining time in words. Between two pieces it goes down with the clock."""
        done_now = self._done - self._begun_with
        if done_now == 0:
            return "unknown time"
        seconds = (self._last_piece - self._start) / done_now * (self._files - self._done)
        return duration(max(seconds - (time.monotonic() - self._last_piece), 0.0))

    def __enter__(self) -> RunProgress:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()


class _Left(ProgressColumn):
    """The remaining time, as of now."""

    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text(f"{self._progress.remaining} left")


def duration(seconds: float) -> str:
    """Return a time in words, such as "2.3 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds / 60:.1f} min"
