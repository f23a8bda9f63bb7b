"""The fuzz of mwm files notices what it looks for."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from apnet_fast.spectra import fits_library
from apnet_fast.spectra import mwm as reader
from apnet_fast.spectra.fits_columns import FitsColumn
from apnet_fast.support.grid import PIXELS
from tests.fuzz import fits_mutations, mwm
from tests.fuzz.case import Case, WrongAnswer


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return mwm._prepare(tmp_path_factory.mktemp("mwm"))


def faults(base: Any, folder: Path, mutation: Any, number: int) -> list[str]:
    """Wrong answers to mutations of one kind, which leave the values alone."""
    found = []
    for seed in range(number):
        rng = random.Random(seed)
        name, content, batch = rng.choice(base)
        hdus = fits_mutations.split(content)
        what = mutation(hdus, rng)
        path = folder / name
        path.write_bytes(fits_mutations.joined(hdus))
        standard = any(word in what for word in ("TSCAL", "TZERO", "TNULL")) and not mwm._is_odd(what)
        try:
            mwm._judge(base, Case(what, (path, batch, standard)))
        except WrongAnswer as wrong:
            found.append(f"{what}: {wrong}")
    return found


def test_odd_cards_are_no_harm_and_would_be_noticed(base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(base, tmp_path, fits_mutations._odd_form, 250) == []
    # As if the reader obeyed such cards: a HIERARCH TSCAL of 2, say.
    decode = reader.decode
    monkeypatch.setattr(reader, "check_cards", lambda *arguments: None)

    def doubled(column: FitsColumn, rows: NDArray[np.uint8]) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pc.multiply(decode(column, rows).flatten(), 2), PIXELS)

    monkeypatch.setattr(reader, "decode", doubled)
    assert any("other flux or error" in fault for fault in faults(base, tmp_path, fits_mutations._odd_form, 250))


def test_lost_ends_are_no_harm_and_would_be_noticed(base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(base, tmp_path, fits_mutations._lost_end, 40) == []
    forget = fits_library._forget_messages
    monkeypatch.setattr(fits_library, "_forget_messages", lambda: None)
    found = faults(base, tmp_path, fits_mutations._lost_end, 40)
    forget()
    assert any("a sound file behind it" in fault for fault in found)
