"""Columns are named, typed and described as in the catalogues."""

from __future__ import annotations

from dataclasses import fields

import pytest

from apnet_fast.catalog.columns import product_columns
from apnet_fast.predict.columns import result_columns
from apnet_fast.predict.stars import Found
from apnet_fast.recipes import RECIPES, RECIPES_OF, Labels, Recipe, get_recipe

OWN = {"number", "product", "flags"}


EVERY_RECIPE = [
    *(recipe for recipes in RECIPES_OF.values() for recipe in recipes.values()),
    *(get_recipe(name, "v3") for name in ("dr19+medians", "bossnet-2+medians")),
]


@pytest.mark.parametrize("recipe", EVERY_RECIPE, ids=lambda recipe: f"{recipe.network} {recipe.name}")
def test_columns_are_those_of_the_catalogues(recipe: Recipe) -> None:
    columns = result_columns(recipe)
    known = {
        column.name: column
        for product in ("star", "visit")
        for column in product_columns(product, recipe.network, medians=recipe.medians)
    }
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert set(names) - OWN <= set(known)
    labels = [field.name for field in fields(Labels)]
    assert [name for name in names if name in labels] == list(recipe.label_names)
    assert recipe.medians == ("teff_sample_median" in names)
    for column in columns:
        if column.name not in OWN:
            like = known[column.name]
            assert (column.form, column.unit, column.description) == (like.form, like.unit, like.comment)


def test_what_is_not_known_is_none(found: Found) -> None:
    columns = {column.name: column for column in result_columns(RECIPES["dr19"])}
    coadd, visit, gone = found.results[:3]
    assert columns["mjd"].value(coadd) is None
    assert isinstance(columns["mjd"].value(visit), int)
    nothing = {name for name, column in columns.items() if column.value(gone) is None}
    assert {"teff", "e_teff", "snr", "file_row", "mjd"} <= nothing
    # A flag that is not set and a reason that there is not are known.
    assert columns["flag_warn"].value(coadd) is False
    assert columns["reason"].value(coadd) == ""
    assert columns["reason"].value(gone) == "missing_file"
    assert columns["result_flags"].value(gone) == 2048
    assert columns["flags"].value(gone) == "NO_RESULT"
