"""Every edge case is in the tree, and is what its name says."""

from __future__ import annotations

import os
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.simulate.edge_cases import cases_of
from apnet_fast.simulate.layouts import find_layout
from apnet_fast.simulate.pixels import PixelBit
from apnet_fast.spectra.extension import BLOCK
from tests.simulate.simulated_trees import Trees

COMMON = {
    *("single_visit", "many_visits", "dead_visit", "no_data", "negative_flux", "bright", "faint"),
    *("all_errors_bad", "no_sfile", "wrong_length", "truncated", "text_file", "empty", "missing"),
}
EXTRA = {
    "legacy": {"persistence"},
    "dr17": {"persistence", "all_nan", "as_star", "one_metre"},
    "sdss5": {"all_nan", "nan_header", "several_versions"},
}
UNREADABLE = {"wrong_length", "truncated", "text_file", "empty", "missing"}


def path_of(trees: Trees, layout: str, case: str) -> Path:
    tree, rows = trees.edge_cases(layout)
    return tree / str(rows[case]["path"])


def images(path: Path) -> list[np.ndarray]:
    with fitsio.FITS(str(path)) as file:
        return [np.atleast_2d(file[number].read()) for number in range(1, 8)]


def header(path: Path) -> fitsio.FITSHDR:
    return fitsio.read_header(str(path))


def test_the_tree_holds_all_cases(trees: Trees, layout_name: str) -> None:
    _, rows = trees.edge_cases(layout_name)
    assert set(rows) == COMMON | EXTRA[layout_name] == {case.name for case in cases_of(find_layout(layout_name))}
    assert {name for name, row in rows.items() if not row["readable"]} == UNREADABLE
    assert all(np.isnan(rows[name]["snr"]) for name in UNREADABLE)
    assert len({row["obj"] for row in rows.values()}) == len(rows)


def test_every_readable_case_can_be_read(trees: Trees, layout_name: str) -> None:
    tree, rows = trees.edge_cases(layout_name)
    for row in rows.values():
        if row["readable"]:
            flux = images(tree / str(row["path"]))[0]
            assert flux.shape == (find_layout(layout_name).rows(int(str(row["n_visits"]))), 8575)


def test_unreadable_cases_cannot(trees: Trees, layout_name: str) -> None:
    for case in ("truncated", "text_file", "empty", "missing"):
        with pytest.raises(OSError, match="FITSIO status"):
            images(path_of(trees, layout_name, case))
    assert images(path_of(trees, layout_name, "wrong_length"))[0].shape == (5, 8000)


def test_damaged_files(trees: Trees, layout_name: str) -> None:
    truncated = path_of(trees, layout_name, "truncated")
    with fitsio.FITS(str(truncated)) as file:
        assert file[0].read_header()["NVISITS"] == 3
    assert truncated.stat().st_size % BLOCK != 0
    assert path_of(trees, layout_name, "empty").stat().st_size == 0
    assert path_of(trees, layout_name, "text_file").read_text().startswith("404")
    missing = path_of(trees, layout_name, "missing")
    assert missing.is_symlink()
    assert not missing.exists()
    assert not os.path.isabs(missing.readlink())


def test_numbers_of_visits(trees: Trees, layout_name: str) -> None:
    _, rows = trees.edge_cases(layout_name)
    assert rows["single_visit"]["n_visits"] == 1
    assert rows["many_visits"]["n_visits"] == 52
    assert header(path_of(trees, layout_name, "many_visits"))["SFILE52"]


def test_bright_and_faint_stars(trees: Trees, layout_name: str) -> None:
    _, rows = trees.edge_cases(layout_name)
    levels = []
    for case, h_mag in (("bright", 6.0), ("faint", 15.0)):
        assert rows[case]["h_mag"] == h_mag
        flux, error, *_ = images(path_of(trees, layout_name, case))
        usable = np.isfinite(flux[0]) & (error[0] > 0) & (error[0] < 1e9)
        levels.append(np.median(flux[0][usable]))
    assert levels[0] == pytest.approx(46_000, rel=0.1)
    assert levels[1] == pytest.approx(11.5, rel=0.3)
    assert 2.5 < float(str(rows["faint"]["snr"])) < 5.0


def test_no_data_and_dead_visits(trees: Trees, layout_name: str) -> None:
    for case, dead_rows in (("no_data", (2, 3, 4)), ("dead_visit", (3,))):
        flux, error, mask, *_ = images(path_of(trees, layout_name, case))
        for row in dead_rows:
            assert not flux[row].any()
            if layout_name == "legacy":
                assert np.all(error[row] == 1e10)
                assert np.all(mask[row] == 1)
            else:
                assert not error[row].any()
        coadd_is_lost = layout_name != "legacy"
        assert bool(np.isnan(flux[0]).all()) == coadd_is_lost
    assert not images(path_of(trees, "legacy", "no_data"))[0].any()
    assert header(path_of(trees, "sdss5", "no_data"))["SNR"] == "NaN"


def test_all_nan(trees: Trees) -> None:
    for layout in ("dr17", "sdss5"):
        flux, error, *_ = images(path_of(trees, layout, "all_nan"))
        assert np.isnan(flux).all()
        assert np.isnan(error).all()


def test_negative_flux(trees: Trees, layout_name: str) -> None:
    flux, error, *_ = images(path_of(trees, layout_name, "negative_flux"))
    has_data = np.isfinite(flux[0]) & (error[0] > 0) & (error[0] < 1e9)
    assert np.mean(flux[0][has_data] < 0) > 0.5


def test_all_errors_bad(trees: Trees, layout_name: str) -> None:
    flux, error, *_ = images(path_of(trees, layout_name, "all_errors_bad"))
    assert np.nanmedian(flux[0]) > 0
    usable = np.isfinite(error) & (error > 0) & (error < 1e9)
    assert not usable.any()
    if layout_name == "dr17":
        assert np.nanmax(error) > 1e11


def test_persistence(trees: Trees) -> None:
    for layout in ("legacy", "dr17"):
        mask = images(path_of(trees, layout, "persistence"))[2]
        bits = int(PixelBit.PERSIST_HIGH | PixelBit.PERSIST_MED | PixelBit.PERSIST_LOW)
        assert np.mean((mask[2] & bits) != 0) > 0.3
        assert header(path_of(trees, layout, "persistence"))["STARFLAG"] != 0


def test_headers_without_visit_files_or_numbers(trees: Trees, layout_name: str) -> None:
    assert not any(str(name).startswith("SFILE") for name in header(path_of(trees, layout_name, "no_sfile")))
    if layout_name == "sdss5":
        cards = header(path_of(trees, "sdss5", "nan_header"))
        assert {cards[name] for name in ("SNR", "VRAD1", "VREL3", "RV_TEFF")} == {"NaN"}
        assert cards["HEALPIX"] >= 0


def test_several_versions_stand_side_by_side(trees: Trees) -> None:
    link = path_of(trees, "sdss5", "several_versions")
    versions = sorted(path for path in link.parent.glob(f"{link.stem}-*.fits"))
    assert len(versions) == 2
    assert link.resolve() == versions[-1].resolve()
    assert [header(path)["NVISITS"] for path in versions] == [2, 3]


def test_as_star_and_one_metre(trees: Trees) -> None:
    as_star = path_of(trees, "dr17", "as_star")
    assert as_star.name.startswith("asStar-dr17-2M")
    assert as_star.parent.parent.name == "lco25m"
    assert header(as_star)["SFILE1"].startswith("asVisit-dr17-")
    vesta = path_of(trees, "dr17", "one_metre")
    assert vesta.name == "apStar-dr17-VESTA.fits"
    assert vesta.parent.parent.name == "apo1m"
    assert header(vesta)["SFILE1"].endswith("-VESTA.fits")
    assert np.nanmedian(images(vesta)[0][0]) > 1e10


def test_ordinary_trees_hold_no_edge_case(trees: Trees, layout_name: str) -> None:
    for path in trees.files(layout_name, 3):
        flux, error, *_ = images(path)
        usable = np.isfinite(flux) & np.isfinite(error) & (error > 0) & (error < 1e9)
        assert usable.mean(axis=1).min() > 0.85
        assert np.median(flux[usable]) > 0
