"""Damaged output folders: the same command must end with the same catalogue, or say what is wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.pipeline.run import run
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.json_mutations import mutate_json
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.runs import FinishedRun, catalogues, content_of

USERS = ("notes.txt", "shards/notes.txt", "shards/000009.mine", "data/table.parquet", "shards/plots/a.png")
"""Names of files that a user might leave in the folder, and that must be there afterwards."""


def _make(rng: random.Random, base: FinishedRun, folder: Path) -> Case:
    output = base.copy(folder)
    kept = []
    if rng.random() < 0.3:
        path = output / rng.choice(USERS)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        kept.append(path)
    if rng.random() < 0.5:
        # As after a kill before the catalogues were written.
        for path in [*catalogues(output), output / RUN_FILE]:
            path.unlink()
    what = rng.choice([_json, _json, _bytes, _bytes, _rearranged, _product])(output, rng)
    restart = rng.random() < 0.2
    return Case(f"{what}{'; --restart' if restart else ''}", (output, kept, restart))


def _json(output: Path, rng: random.Random) -> str:
    path = rng.choice(sorted((output / "shards").rglob("*.json")))
    changed, what = mutate_json(path.read_text(), rng)
    path.write_bytes(changed)
    return f"{path.name}: {what}"


def _bytes(output: Path, rng: random.Random) -> str:
    path = rng.choice(sorted((output / "shards").rglob("*.parquet")))
    changed, what = mutate_bytes(path.read_bytes(), rng)
    path.write_bytes(changed)
    return f"{path.name}: {what}"


def _rearranged(output: Path, rng: random.Random) -> str:
    """Lose files, exchange them, or put other objects in their place."""
    files = sorted(path for path in (output / "shards").rglob("*") if path.suffix in (".json", ".parquet"))
    first, second = rng.sample(files, 2)
    how = rng.choice(["lost", "exchanged", "linked to nothing", "is a folder", "left as .partial"])
    if how == "exchanged":
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        return f"{first.name} and {second.name} exchanged"
    content = first.read_bytes()
    first.unlink()
    if how == "linked to nothing":
        first.symlink_to("nothing")
    elif how == "is a folder":
        first.mkdir()
    elif how == "left as .partial":
        first.with_name(f"{first.name}.partial").write_bytes(content[: len(content) // 2])
    return f"{first.name} {how}"


def _product(output: Path, rng: random.Random) -> str:
    """Damage a catalogue that is there, or put a folder in its place."""
    path = rng.choice(catalogues(output))
    if path.exists() and rng.random() < 0.7:
        changed, what = mutate_bytes(path.read_bytes(), rng)
        path.write_bytes(changed)
        return f"{path.suffix} of the catalogue: {what}"
    path.unlink(missing_ok=True)
    path.mkdir()
    return f"{path.suffix} of the catalogue is a folder"


def _judge(base: FinishedRun, case: Case) -> str:
    output, kept, restart = case.data
    try:
        run(replace(base.arguments(output), restart=restart))
        if content_of(output) != base.catalogue:
            raise WrongAnswer("another catalogue than that of the undisturbed run")
    finally:
        if lost := [path.name for path in kept if not path.exists()]:
            raise WrongAnswer(f"the user's file {lost[0]} is gone")
    return "same catalogue"


KIND = Kind("shards", FinishedRun.make, _make, _judge)
