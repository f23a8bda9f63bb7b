"""Mutated packs: the manifest, the log of an unfinished one, and the files."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.readers.packing import PackArguments, pack
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import read_spectra
from apnet_fast.spectra.pack import MANIFEST
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.json_mutations import mutate_json
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.mwm import pixels

MOST_ROWS = 1000
REARRANGED = ("file lost", "files exchanged", "file linked to nothing", "file is a folder", "manifest lost")


def _prepare(folder: Path) -> dict[str, Any]:
    tree = simulate_tree(folder / "tree", stars=4, layout="dr17", visits=1, seed=2, edge_cases=False)
    pack(PackArguments((str(tree),), folder / "pack", spectra_per_file=4))
    files = sorted((folder / "pack").glob("*.arrow"))
    known = set()
    for file in files:
        batch = read_spectra(str(file), ("star", "visit"))
        known |= {(record.identity, pixels(batch, i)) for i, record in enumerate(batch.records)}
    return {"tree": tree, "pack": folder / "pack", "known": known}


def _make(rng: random.Random, base: Any, folder: Path) -> Case:
    copy = Path(shutil.copytree(base["pack"], folder / "pack"))
    files = sorted(copy.glob("*.arrow"))
    how = rng.randrange(4)
    if how < 2:
        manifest = copy / MANIFEST
        changed, what = mutate_json(manifest.read_text(), rng)
        manifest.write_bytes(changed)
    elif how == 2:
        file = rng.choice(files)
        changed, what = mutate_bytes(file.read_bytes(), rng)
        file.write_bytes(changed)
        what = f"{file.name}: {what}"
    else:
        what = rng.choice(REARRANGED)
        _rearrange(copy, files, what)
    if rng.random() < 0.8:
        return Case(what, (copy, None, False))
    mine = copy / rng.choice(["notes.txt", "mine.arrow", "000009.arrow", "mine.partial", "data/000000.arrow"])
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    restart = rng.random() < 0.5
    return Case(f"{what}; packed again{' with --restart' if restart else ''} beside {mine.name}", (copy, mine, restart))


def _rearrange(copy: Path, files: list[Path], what: str) -> None:
    if what == "files exchanged":
        first, second = (file.read_bytes() for file in files[:2])
        files[0].write_bytes(second)
        files[1].write_bytes(first)
        return
    victim = copy / MANIFEST if what == "manifest lost" else files[0]
    victim.unlink()
    if what == "file linked to nothing":
        victim.symlink_to("nothing.arrow")
    elif what == "file is a folder":
        victim.mkdir()


def _judge(base: Any, case: Case) -> str:
    folder, mine, restart = case.data
    if mine is not None:
        _pack_again(base, folder, mine, restart)
    sources = resolve_inputs([str(folder)]).files
    reasons = set()
    for source in sources:
        batch = read_spectra(source, ("star", "visit"))
        if len(batch) > MOST_ROWS:
            raise WrongAnswer(f"{len(batch)} rows of a pack of 8 spectra")
        for i, record in enumerate(batch.records):
            if record.reason is not None:
                reasons.add(str(record.reason))
            elif (record.identity, pixels(batch, i)) not in base["known"]:
                raise WrongAnswer(f"{record.identity} has other flux or error than was packed")
            else:
                reasons.add("label")
    return ", ".join(sorted(reasons)) or "no rows"


def _pack_again(base: Any, folder: Path, mine: Path, restart: bool) -> None:
    """Pack into the damaged folder, where a file of the user lies."""
    try:
        pack(PackArguments((str(base["tree"]),), folder, spectra_per_file=4, restart=restart))
    finally:
        if not mine.is_file() or mine.read_text() != "mine":
            raise WrongAnswer(f"the user's file {mine.name} is gone")


KIND = Kind("packs", _prepare, _make, _judge)
