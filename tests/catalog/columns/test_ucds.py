"""Every column has a UCD, in words that the Virtual Observatory knows."""

from __future__ import annotations

import pytest

from apnet_fast.catalog.columns import product_columns
from apnet_fast.catalog.columns.ucds import ucd_of
from apnet_fast.spectra.batch import Product

ucd = pytest.importorskip("astropy.io.votable.ucd")


@pytest.mark.parametrize("product", ["star", "visit"])
def test_every_column_has_a_ucd_of_the_controlled_vocabulary(product: Product) -> None:
    for column in product_columns(product, "v2"):
        ucd.parse_ucd(column.ucd, check_controlled_vocabulary=True)
    # The twin: a word that is not in it, and one that may not come first.
    for wrong in ("phys.temperature.effectiv", "arith.ratio"):
        with pytest.raises(ValueError, match=r"Unknown word|not valid"):
            ucd.parse_ucd(wrong, check_controlled_vocabulary=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ra", "pos.eq.ra;meta.main"),
        ("teff", "phys.temperature.effective;meta.main"),
        ("e_teff", "stat.error;phys.temperature.effective"),
        ("raw_e_fe_h", "stat.error;phys.abund.Fe"),
        ("zgr_e_fe_h", "stat.error;phys.abund.Fe"),
        ("zgr_e_e", "stat.error;phot.color.excess"),
        ("e_ebv_rjce_glimpse", "stat.error;phot.color.excess"),
        ("gaia_e_v_rad", "stat.error;spect.dopplerVeloc"),
        ("e_j_mag", "stat.error;phot.mag;em.IR.J"),
        ("flag_bad", "meta.code.qual"),
    ],
)
def test_some_columns(name: str, expected: str) -> None:
    assert ucd_of(name) == expected


@pytest.mark.parametrize("name", ["teff2", "e_nothing", "raw_teff", ""])
def test_columns_that_are_not_listed_have_none(name: str) -> None:
    with pytest.raises(KeyError):
        ucd_of(name)
