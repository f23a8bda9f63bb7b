"""The scheduler of a Dask cluster as the coordinator sees it: what it asks, it asks without waiting.

The answer of a task stays on its worker until it is fetched. Whoever waits for it in Dask's blocking way waits for ever
if that worker dies first. So answers are fetched in the client's event loop and come through a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Future

_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.batched", "tornado")
_SECONDS_TO_ANSWER = 30.0
_SECONDS_TO_CLOSE = 5.0


class Scheduler:
    """A scheduler that a client is connected to.

    answers: (what `ask` was told to call the question, its future, the value or the exception), in order of arrival;
    CancelledError for a question that the scheduler has forgotten. unanswered: how often `workers` was called since
    it last answered; a process that was suspended counts no calls. trouble: why it did not answer.
    resources: what a task takes of a worker that is asked to take them. own: whether the client is closed at the end.
    """

    def __init__(self, client: Client, resources: Mapping[str, float] | None = None, *, own: bool = True) -> None:
        self.answers: queue.SimpleQueue[tuple[Any, Future, Any]] = queue.SimpleQueue()
        self._client, self._resources, self._own = client, dict(resources or {}) or None, own
        self._loop: Any = client.loop
        self._workers: Mapping[str, Mapping[str, Any]] | None = None
        self._asking = False
        self.unanswered = 0
        self.trouble = ""

    def ask(self, name: object, function: Callable[..., Any], *given: object, at: str, takes: bool = False) -> Future:
        """Have the worker at an address call a function; its answer comes to `answers` under this name.

        takes: the call waits for the resources of the worker and holds them. Nobody need keep the future, whose end
        would take the question back: whoever fetches the answer does.
        """
        future = self._client.submit(
            function,
            *given,
            workers=[at],
            allow_other_workers=False,
            pure=False,
            retries=0,
            key=f"apnet_fast-{function.__name__}-{uuid.uuid4().hex}",
            resources=self._resources if takes else None,
        )
        self._loop.add_callback(self._fetch, name, future)
        return future

    async def _fetch(self, name: object, future: Future) -> None:
        answer: object
        try:
            answer = await self._client.gather(future, asynchronous=True)
        except asyncio.CancelledError:
            answer = CancelledError()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            answer = error
        self.answers.put((name, future, answer))

    def workers(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what is newly known of the workers, by address, and ask again; None if there is no news."""
        if not self._asking:
            self._asking = True
            self._loop.add_callback(self._look)
        news, self._workers = self._workers, None
        self.unanswered = 0 if news is not None else self.unanswered + 1
        return news

    async def _look(self) -> None:
        try:
            asked = self._client.scheduler.identity(n_workers=-1)
            self._workers = (await asyncio.wait_for(asked, _SECONDS_TO_ANSWER))["workers"]
            self.trouble = ""
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - silence is what counts
            self.trouble = str(error) or type(error).__name__
        finally:
            self._asking = False

    def let_all_finish(self, function: Callable[..., Any], *given: object, at: list[str], seconds: float) -> None:
        """Have workers call a function, and wait at most `seconds` for it."""
        waiting = {self.ask("end", function, *given, at=address) for address in at}
        deadline = time.monotonic() + seconds
        while waiting and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                _, future, _ = self.answers.get(timeout=left)
                waiting.discard(future)

    def shut_down(self) -> None:
        """End scheduler and workers, as far as they listen."""
        # The call has no time-out of its own.
        asking = threading.Thread(target=self._shut_down, daemon=True)
        asking.start()
        asking.join(_SECONDS_TO_CLOSE)

    def _shut_down(self) -> None:
        with contextlib.suppress(Exception):
            self._client.shutdown()

    def close(self) -> None:
        """Leave the cluster."""
        if self._own:
            with contextlib.suppress(Exception):
                self._client.close(timeout=_SECONDS_TO_CLOSE)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask's own log lines and tracebacks off stderr."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
