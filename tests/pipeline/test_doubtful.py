"""Labels that mean nothing are told of: demo weights on real stars, flux on another scale."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.pipeline.run import run
from apnet_fast.recipes.flag_tables import PAGE
from tests.pipeline.runs import arguments, catalogue, stored_record

UNRELIABLE = PAGE.mask("RESULT_UNRELIABLE")


def test_demo_weights_on_simulated_stars_flag_nothing(tree: Path, tmp_path: Path) -> None:
    summary = run(arguments([tree], Path("demo"), tmp_path, draws=2))
    assert summary.worthless == 0
    assert summary.warnings[-1].endswith("for real stars their labels mean nothing")
    assert not np.any(np.array(catalogue(tmp_path, "star")["result_flags"].to_pylist()) & UNRELIABLE)
    assert stored_record(tmp_path)["flux"]["implausible"] == 0


def test_demo_weights_on_real_stars_flag_every_row(data: Path, tmp_path: Path) -> None:
    summary = run(arguments([data / "apstar_relaid"], Path("demo"), tmp_path, draws=2))
    assert "for simulated spectra only" in summary.warnings[-1]
    assert f"{summary.results} spectra of this run are real; their rows carry RESULT_UN" in summary.warnings[-1]
    assert all(flags & UNRELIABLE for flags in catalogue(tmp_path, "star")["result_flags"].to_pylist())
    (fits,) = tmp_path.glob("astraAllStar*.fits")
    assert fitsio.read_header(str(fits), ext=0)["WUSE"].startswith("simulated spectra only")


@pytest.mark.parametrize(("recipe", "bit"), [("bossnet-2", 1024), ("astra-0.6", 0)])
def test_recipes_of_others_flag_what_their_tables_can(recipe: str, bit: int, data: Path, tmp_path: Path) -> None:
    """The last line says what the rows carry: a bit, or flag_bad alone."""
    file = sorted((data / "apstar_relaid").glob("*.fits"))[0]
    given = arguments([file], Path("demo"), tmp_path, spectra="star", recipe=recipe, draws=2)
    summary = run(given)
    star = catalogue(tmp_path, "star")
    assert [flags & UNRELIABLE for flags in star["result_flags"].to_pylist()] == [bit]
    assert star["flag_bad"].to_pylist() == [True]
    assert ("RESULT_UNRELIABLE" in summary.warnings[-1]) == bool(bit)
    assert ("carry flag_bad, but no bit in result_flags" in summary.warnings[-1]) == (not bit)
    assert run(given).warnings == summary.warnings  # said again if nothing is left to do


def test_weights_for_real_stars_do_not(data: Path, small_weights: Path, tmp_path: Path) -> None:
    summary = run(arguments([data / "apstar_relaid"], small_weights, tmp_path, draws=2))
    assert not any("simulated" in line for line in summary.warnings)
    (fits,) = tmp_path.glob("astraAllStar*.fits")
    assert "WUSE" not in fitsio.read_header(str(fits), ext=0)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_flux_on_another_scale_is_counted(tree: Path, small_weights: Path, tmp_path: Path, scale: float) -> None:
    (tmp_path / "in").mkdir()
    source = sorted(tree.rglob("apStar-*.fits"))[0]
    copy = tmp_path / "in" / source.name
    copy.write_bytes(source.read_bytes())
    with fitsio.FITS(str(copy), "rw") as file:
        for hdu in (1, 2):
            file[hdu].write(file[hdu].read() * scale)
    summary = run(arguments([copy], small_weights, tmp_path / "out", draws=2))
    told = [line for line in summary.warnings if "median flux outside" in line]
    assert len(told) == (scale != 1.0)
    assert stored_record(tmp_path / "out")["flux"]["implausible"] == (3 if told else 0)
