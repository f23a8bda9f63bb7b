"""Damaged records of finished runs (run.json, catalogues, quarantine), as `report` reads them."""

from __future__ import annotations

import random
from pathlib import Path

from apnet_fast.catalog.names import QUARANTINE_FILE, RUN_FILE
from apnet_fast.report.report import report_of
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.json_mutations import mutate_json
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.runs import FinishedRun, catalogues


def _prepare(folder: Path) -> FinishedRun:
    """Make a run and one report of it: the first loads matplotlib, which takes seconds."""
    made = FinishedRun.make(folder)
    report_of(made.output)
    return made


def _make(rng: random.Random, base: FinishedRun, folder: Path) -> Case:
    output = base.copy(folder)
    if rng.random() < 0.75:
        path = output / RUN_FILE
        changed, what = mutate_json(path.read_text(), rng)
    else:
        path = rng.choice([output / QUARANTINE_FILE, *catalogues(output)])
        changed, what = mutate_bytes(path.read_bytes(), rng)
        what = f"{path.name}: {what}"
    path.write_bytes(changed)
    return Case(what, output)


def _judge(base: FinishedRun, case: Case) -> str:
    text = report_of(case.data)
    if "<script" in text or not text.rstrip().endswith("</html>"):
        raise WrongAnswer("the report is not whole, or holds a script")
    return "report"


KIND = Kind("run_json", _prepare, _make, _judge)
