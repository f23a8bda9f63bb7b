"""The scheduler is asked without waiting, and its silence is noticed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
from distributed import Client, LocalCluster

from apnet_fast.cluster.scheduler import Scheduler, quiet
from tests.cluster.processes import wait_until


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        quiet(),
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as made,
    ):
        yield made


@pytest.fixture
def scheduler(client: Client) -> Scheduler:
    return Scheduler(client, own=False)


@pytest.fixture
def worker(client: Client) -> str:
    return str(next(iter(client.scheduler_info()["workers"])))


def double(number: int) -> int:
    return 2 * number


def fail(why: str) -> None:
    raise ValueError(why)


def test_answers_come_under_the_names_of_the_questions(scheduler: Scheduler, worker: str) -> None:
    asked = {name: scheduler.ask(name, double, name, at=worker) for name in (3, 4)}
    asked["wrong"] = scheduler.ask("wrong", fail, "no number", at=worker)
    answers: dict[Any, Any] = {}
    for _ in range(3):
        name, future, answer = scheduler.answers.get(timeout=60)
        assert asked[name] is future
        answers[name] = answer
    assert (answers[3], answers[4], str(answers["wrong"])) == (6, 8, "no number")


def test_a_question_that_is_taken_back_is_answered_too(scheduler: Scheduler, worker: str) -> None:
    future = scheduler.ask("slow", time.sleep, 2, at=worker)
    future.cancel()
    assert isinstance(scheduler.answers.get(timeout=60)[2], CancelledError)


def test_workers_are_news_once(scheduler: Scheduler, worker: str) -> None:
    news: list[Any] = []
    wait_until(lambda: news.append(scheduler.workers()) or news[-1], "news")
    assert list(news[-1]) == [worker]
    assert scheduler.unanswered == 0
    wait_until(lambda: not scheduler._asking, "the answer to the last question")
    scheduler._asking = True  # a question that is never answered
    scheduler.workers()  # news or none: the last answer may have come with the call before
    silent = scheduler.unanswered
    for calls in (1, 2):
        assert scheduler.workers() is None
        assert scheduler.unanswered == silent + calls


def test_all_are_waited_for_but_no_longer_than_said(scheduler: Scheduler, worker: str) -> None:
    scheduler.let_all_finish(double, 3, at=[worker], seconds=60)
    begun = time.monotonic()
    scheduler.let_all_finish(time.sleep, 5, at=[worker], seconds=0.1)
    assert time.monotonic() - begun < 4
