"""Mutated mwmStar and mwmVisit files."""

from __future__ import annotations

import random
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import SpectrumBatch, read_spectra
from apnet_fast.spectra.batch import Product
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.fits_mutations import mutate_fits
from tests.simulate.simulated_trees import files_of
from tests.spectra.mwm_files import name_of, rows_like, write_mwm

PRODUCTS: tuple[Product, ...] = ("star", "visit")


def _prepare(folder: Path) -> list[tuple[str, bytes, SpectrumBatch]]:
    """Return name, bytes and spectra of sound files: either kind, rows of one telescope or of both."""
    tree = simulate_tree(folder / "tree", stars=2, layout="sdss5", visits=2, seed=8)
    sources = [read_spectra(str(path), PRODUCTS) for path in files_of(tree)]
    sound = []
    for kind in PRODUCTS:
        rows = [rows_like(source, kind) for source in sources]
        for apo, lco in ((rows[0], None), (rows[0], rows[1]), (None, rows[1])):
            path = write_mwm(folder / name_of(kind), apo, lco)
            sound.append((path.name, path.read_bytes(), read_spectra(str(path), PRODUCTS)))
    return sound


def _make(rng: random.Random, base: Any, folder: Path) -> Case:
    name, content, batch = rng.choice(base)
    changed, what, values = mutate_fits(content, rng)
    # By the standard a scaling, or a null, changes what the bytes of a column mean; not in a form of its own.
    values |= any(word in what for word in ("TSCAL", "TZERO", "TNULL")) and not _is_odd(what)
    if rng.random() < 0.2:
        changed, more, _ = _again(changed, rng)
        what, values = f"{what}; {more}", True
    path = folder / name
    path.write_bytes(changed)
    return Case(what, (path, batch, values))


def _is_odd(what: str) -> bool:
    """Return whether a card was set in a form that is not of the standard's: keywords of 7 letters may look like it."""
    text = what.partition(": odd form ")[2]
    return bool(text) and not re.match(r"'[A-Z0-9]{7} = ", text)


def _again(content: bytes, rng: random.Random) -> tuple[bytes, str, bool]:
    try:
        return mutate_fits(content, rng)
    except (ValueError, KeyError, IndexError):  # no FITS file any more
        return content, "", True


def _judge(base: Any, case: Case) -> str:
    path, sound, values = case.data
    batch = read_spectra(str(path), PRODUCTS)
    reasons = sorted({str(record.reason) for record in batch.records if record.reason is not None})
    accepted = [i for i, record in enumerate(batch.records) if record.reason is None]
    if not values:
        check_rows(batch, accepted, sound)
    _check_the_next(base)
    return ", ".join([*reasons, *(["label"] if accepted else [])]) or "no rows"


def _check_the_next(base: Any) -> None:
    """Raise WrongAnswer unless a sound file is read as before: what is wrong with one says nothing about another."""
    name, content, sound = base[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        behind = read_spectra(str(path), PRODUCTS)
    reasons = [record.reason for record in behind.records]
    if reasons != [record.reason for record in sound.records]:
        raise WrongAnswer(f"a sound file behind it: {reasons}")
    check_rows(behind, [i for i, reason in enumerate(reasons) if reason is None], sound)


def check_rows(batch: SpectrumBatch, accepted: list[int], sound: SpectrumBatch) -> None:
    """Raise WrongAnswer unless every accepted spectrum is one of the sound file, flux and error alike."""
    known = {pixels(sound, i) for i in range(len(sound))}
    for i in accepted:
        if pixels(batch, i) not in known:
            raise WrongAnswer(f"row {batch.records[i].row} of HDU {batch.records[i].hdu} has other flux or error")


def pixels(batch: SpectrumBatch, row: int) -> bytes:
    """Return flux and error of a spectrum as bytes, to compare."""
    return np.concatenate([batch.flux[row], batch.error[row]]).tobytes()


KIND = Kind("mwm", _prepare, _make, _judge, reads_inputs=True)
