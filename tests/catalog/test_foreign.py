"""The names of foreign tables."""

from __future__ import annotations

import pytest

from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.catalog.foreign import DR17, DRP, Family, Foreign, family_of
from apnet_fast.spectra.batch import Product

BOTH = pytest.mark.parametrize("family", [DR17, DRP], ids=lambda family: family.name)


@BOTH
def test_every_name_is_for_one_of_our_columns_in_its_unit(family: Family, product: Product) -> None:
    units = {column.name: column.unit for column in COLUMNS[product]}
    for foreign in family.columns[product]:
        assert units[foreign.ours] == foreign.unit, foreign


@BOTH
def test_no_column_of_ours_is_named_twice(family: Family, product: Product) -> None:
    ours = [foreign.ours for foreign in family.columns[product]]
    assert len(set(ours)) == len(ours)


@BOTH
def test_results_of_others_are_never_taken(family: Family, product: Product) -> None:
    results = {column.name for column in COLUMNS[product]} - {"source_pk"}
    names = [column.name for column in COLUMNS[product]]
    results &= set(names[names.index("task_pk") :])
    assert not results & {foreign.ours for foreign in family.columns[product]}


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ({"apogee_id", "vhelio_avg", "j"}, DR17),
        ({"apogee_id", "vhelio", "mjd"}, DR17),
        ({"apogee_id", "apred_vers", "vrad"}, DRP),
        ({"obj", "sdss_id", "v_rad"}, None),
        (set(), None),
    ],
)
def test_family_is_known_by_its_columns(names: set[str], family: Family | None) -> None:
    assert family_of(names) is family


def test_gaia_values_depend_on_the_release_where_the_column_does() -> None:
    gaia = {foreign.ours: foreign.gaia for foreign in DRP.columns["star"] if foreign.gaia}
    assert gaia == {
        "gaia_dr2_source_id": "2",
        "gaia_dr3_source_id": "3",
        "g_mag": "3",
        "bp_mag": "3",
        "rp_mag": "3",
    }
    assert Foreign("plx", "gaia_plx", "mas") in DRP.columns["star"]
