"""One door to every kind of source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import Product, Reason, read_apstar, read_spectra, unread_spectra
from apnet_fast.spectra.mwm import read_mwm
from apnet_fast.spectra.pack import Manifest, write_pack_file
from tests.spectra.mwm_files import name_of, rows_like, write_mwm


@pytest.fixture(scope="module")
def apstar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One ordinary file."""
    tree = simulate_tree(tmp_path_factory.mktemp("tree") / "legacy", stars=1, layout="legacy", visits=2)
    return next(tree.rglob("*.fits"))


def test_names_decide_and_other_files_are_looked_into(apstar: Path, tmp_path: Path) -> None:
    spectra = read_apstar(str(apstar))
    mwm = write_mwm(tmp_path / name_of("visit"), rows_like(spectra, "visit"))
    renamed_mwm, renamed_apstar = tmp_path / "mine.fits", tmp_path / "mine_too.fits"
    renamed_mwm.write_bytes(mwm.read_bytes())
    renamed_apstar.write_bytes(apstar.read_bytes())
    Manifest("", 0, {"0.arrow": write_pack_file(tmp_path / "0.arrow", spectra)}, 6).write(tmp_path)
    for path, expected in [
        (apstar, spectra),
        (renamed_apstar, read_apstar(str(renamed_apstar))),
        (mwm, read_mwm(str(mwm))),
        (renamed_mwm, read_mwm(str(renamed_mwm))),
        (tmp_path / "0.arrow", spectra),
    ]:
        batch = read_spectra(str(path))
        assert batch.usable.all()
        assert batch.records == expected.records
        np.testing.assert_array_equal(batch.flux, expected.flux)


@pytest.mark.parametrize("name", ["apStar-r8-2M1.fits", "mwmStar-0.6.0-1.fits", "mine.fits", "0.arrow", "no_suffix"])
def test_what_is_not_there_has_its_rows(name: str, tmp_path: Path) -> None:
    batch = read_spectra(str(tmp_path / name))
    assert len(batch) > 0
    assert not batch.usable.any()


def test_sources_that_must_not_be_opened_have_their_rows(apstar: Path, tmp_path: Path) -> None:
    spectra = read_apstar(str(apstar))
    Manifest("", 0, {"0.arrow": write_pack_file(tmp_path / "0.arrow", spectra)}, 6).write(tmp_path)
    expected: dict[Path, list[Product]] = {
        apstar: ["star", "visit"],
        tmp_path / name_of("star"): ["star"],
        tmp_path / name_of("visit"): ["visit"],
        tmp_path / "0.arrow": ["star", "visit", "visit"],
        tmp_path / "elsewhere" / "0.arrow": ["star", "visit"],
    }
    for path, products in expected.items():
        batch = unread_spectra(str(path), ("star", "visit"), Reason.UNREADABLE, "why")
        assert [record.product for record in batch.records] == products
        assert {(record.reason, record.text, record.row) for record in batch.records} == {
            (Reason.UNREADABLE, "why", -1)
        }
        only = unread_spectra(str(path), ("star",), Reason.UNREADABLE, "why")
        assert [record.product for record in only.records] == [product for product in products if product == "star"]
