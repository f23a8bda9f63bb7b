"""A small set of the fuzz, and proof that the harness notices what it looks for."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from apnet_fast.support.errors import UsageError
from tests.fuzz import worker
from tests.fuzz.case import Case, Kind, Outcome, WrongAnswer, randomness
from tests.fuzz.fits_mutations import joined, mutate_fits, split
from tests.fuzz.json_mutations import mutate_json, paths_of, replaced
from tests.fuzz.mutations import BYTES
from tests.fuzz.runner import Process, counted, table, try_cases
from tests.fuzz.worker import MODULES, Trials

FILES_OF_THE_SMALL_SET = {name: 8 if name in ("shards", "run_json") else 40 for name in MODULES}


@pytest.mark.slow
def test_a_small_set_of_every_kind() -> None:
    cases = [(kind, number) for kind, files in FILES_OF_THE_SMALL_SET.items() for number in range(files)]
    outcomes = try_cases(cases, seed=20)
    failures = [
        f"{each.kind} --seed 20 --case {each.number}: {each.what}: {each.text}" for each in outcomes if each.failure
    ]
    assert failures == []
    assert set(counted(outcomes)) == set(MODULES)


def cases_of(folder: Path, judge: object, **options: bool) -> Trials:
    """Trials of one kind whose cases are numbers and whose judge is given."""
    kind = Kind("odd", lambda home: home, lambda rng, base, place: Case("a number", rng.random()), judge, **options)  # type: ignore[arg-type]
    trials = Trials(folder)
    trials._prepared["odd"] = kind, folder
    return trials


def verdict(folder: Path, judge: object, **options: bool) -> Outcome:
    return cases_of(folder, judge, **options).try_case("odd", seed=1, number=2)


def raises(error: BaseException) -> object:
    def judge(base: object, case: Case) -> str:
        raise error

    return judge


def test_what_counts_as_handled(tmp_path: Path) -> None:
    assert verdict(tmp_path, lambda base, case: "label").verdict == "label"
    refused = verdict(tmp_path, raises(UsageError("no such thing", got="x", where="/a/b")))
    assert (refused.verdict, refused.failure) == ("UsageError: no such thing", "")
    full = OSError(28, "No space left on device", "/out/file")
    assert verdict(tmp_path, raises(full)).failure == ""


def test_what_counts_as_a_failure(tmp_path: Path) -> None:
    assert verdict(tmp_path, raises(KeyError("a"))).failure == "traceback"
    assert "KeyError" in verdict(tmp_path, raises(KeyError("a"))).text
    assert verdict(tmp_path, raises(WrongAnswer("other flux"))).failure == "wrong"
    assert verdict(tmp_path, raises(MemoryError())).failure == "memory"
    assert verdict(tmp_path, raises(OSError("no path"))).failure == "traceback"
    full = OSError(28, "No space left on device", "/out/file")
    assert verdict(tmp_path, raises(full), reads_inputs=True).failure == "traceback"


def test_a_memory_error_behind_a_message_is_noticed(tmp_path: Path) -> None:
    def judge(base: object, case: Case) -> str:
        try:
            raise MemoryError
        except MemoryError as error:
            raise UsageError("cannot read it") from error

    assert verdict(tmp_path, judge).failure == "memory"


def test_much_memory_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By far more than the limit: the system may take other pages of this process meanwhile, so that its peak is lower.
    monkeypatch.setattr(worker, "MOST_MEGABYTES", 50)
    assert verdict(tmp_path, lambda base, case: str(len(bytes(1_000_000)))).failure == ""
    assert verdict(tmp_path, lambda base, case: str(len(b"x" * 500_000_000))).failure == "memory"


def test_a_case_depends_on_kind_seed_and_number_alone() -> None:
    assert randomness("mwm", 1, 2).random() == randomness("mwm", 1, 2).random()
    others = {randomness(*key).random() for key in (("mwm", 1, 2), ("mwm", 1, 3), ("mwm", 2, 2), ("lists", 1, 2))}
    assert len(others) == 4


class Stuck(Process):
    """A process whose worker sleeps, or ends, instead of answering."""

    def __init__(self, code: str) -> None:
        super().__init__(most_seconds=0.3)
        self.code = code

    def command(self, folder: str) -> list[str]:
        return ["/bin/sh", "-c", f"read line; echo prepared; read line; {self.code}"]


def test_processes_that_hang_or_die_are_failures() -> None:
    began = time.monotonic()
    hanging, dying = Stuck("sleep 60"), Stuck("exit 3")
    assert hanging.ask("odd", 0, 0).failure == "hang"
    assert dying.ask("odd", 0, 0) == Outcome("odd", 0, failure="died", text="exit code 3")
    assert hanging.ask("odd", 0, 1).failure == "hang", "a new process is started for the next case"
    assert time.monotonic() - began < 20
    hanging.close()
    dying.close()


def test_a_process_that_computes_gets_its_time() -> None:
    """Half a second of computing is within a limit of 30 s; a loop without end is not within one of 0.3 s."""
    busy = Stuck("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7")
    busy.most_seconds = 30.0
    assert busy.ask("odd", 0, 0).failure == "died"
    endless = Stuck("while true; do :; done")
    assert endless.ask("odd", 0, 0).failure == "hang"
    endless.close()


def test_a_process_that_cannot_start_is_an_error() -> None:
    class Broken(Stuck):
        def command(self, folder: str) -> list[str]:
            return ["/bin/false"]

    with pytest.raises(RuntimeError, match="cannot prepare the kind odd"):
        Broken("").ask("odd", 0, 0)


def test_the_table_counts() -> None:
    outcomes = [
        Outcome("mwm", 0, verdict="label"),
        Outcome("mwm", 1, failure="hang"),
        Outcome("lists", 0, verdict="read"),
    ]
    lines = table(counted(outcomes)).splitlines()
    assert lines[2].startswith("| mwm | 2 | 1 | 0 | 0 | 1 |")
    assert lines[-1].startswith("| all | 3 | 2 | 0 | 0 | 1 |")


@pytest.mark.parametrize("mutate", BYTES)
def test_bytes_are_mutated(mutate: object) -> None:
    content = os.urandom(20_000)
    results = [mutate(content, random.Random(seed))[0] for seed in range(20)]  # type: ignore[operator]
    assert sum(result != content for result in results) > 15
    assert mutate(b"", random.Random(1))[1], "an empty file does not stop it"  # type: ignore[operator]


def test_json_is_mutated_and_can_be_anything() -> None:
    text = '{"a": [1, {"b": null}], "c": "x"}'
    changed = {mutate_json(text, random.Random(seed))[0] for seed in range(200)}
    assert len(changed) > 150
    assert list(paths_of([1, {"b": 2}])) == [(), (0,), (1,), (1, "b")]
    assert replaced({"a": [1, 2]}, ("a", 1), 5) == {"a": [1, 5]}


def test_fits_files_are_taken_apart_and_joined(tmp_path: Path) -> None:
    for name, content, _ in worker.kind_of("mwm").prepare(tmp_path):
        hdus = split(content)
        assert len(hdus) == 5, name
        assert joined(hdus) == content
        assert any(mutate_fits(content, random.Random(seed))[0] != content for seed in range(5))
