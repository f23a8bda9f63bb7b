"""Named recipes: which names each network has, its default, and names that do not exist."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.recipes.labels import MEDIANS
from apnet_fast.recipes.named import RECIPES, RECIPES_OF, get_recipe
from apnet_fast.recipes.versions import VERSIONS
from apnet_fast.support.errors import UsageError


def test_every_recipe_belongs_to_its_network_and_name() -> None:
    assert RECIPES_OF.keys() == VERSIONS.keys()
    for network, recipes in RECIPES_OF.items():
        for name, recipe in recipes.items():
            assert (recipe.network, recipe.name) == (network, name)
            assert (recipe.photometry is not None) == VERSIONS[network].photometry


def test_the_first_recipe_is_the_default() -> None:
    assert [get_recipe(None, network).name for network in ("v3", "v2", "v1")] == ["dr19", "astra-0.6", "astra-2020"]


def test_one_name_may_mean_different_things() -> None:
    assert get_recipe("astra-0.6", "v3") is RECIPES["astra-0.6"]
    assert get_recipe("astra-0.6", "v2") != get_recipe("astra-0.6", "v3")
    assert get_recipe("astra-0.6", "v2").default_draws == 100


def test_unknown_recipes_name_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown recipe; got 'dr18'; expected dr19 \| astra-0.6 \| bossnet-2"):
        get_recipe("dr18", "v3")
    with pytest.raises(UsageError, match="not defined for ApogeeNet v1"):
        get_recipe("dr19", "v1")
    with pytest.raises(UsageError, match="unknown recipe"):
        get_recipe("dr20", "v2")
    with pytest.raises(UsageError, match="unknown network"):
        get_recipe(None, "v4")


@pytest.mark.parametrize("name", ["dr19", "bossnet-2"])
def test_medians_on_request_change_nothing_else(name: str) -> None:
    plain, more = get_recipe(name, "v3"), get_recipe(f"{name}+medians", "v3")
    assert more.name == f"{name}+medians"
    assert replace(more, name=name, add_medians=False) == plain
    assert (plain.medians, more.medians) == (False, True)
    assert set(more.label_names) - set(plain.label_names) == set(MEDIANS)


@pytest.mark.parametrize(
    ("network", "name", "said"),
    [
        ("v3", "astra-0.6+medians", r"cannot add the medians.*expected dr19\+medians \| bossnet-2\+medians"),
        ("v2", "dr19+medians", "cannot add the medians.*--recipe dr19, which has them"),
        ("v1", "astra-2020+medians", "cannot add the medians"),
        ("v3", "dr20+medians", "unknown recipe; got 'dr20'"),
    ],
)
def test_medians_where_they_cannot_be_added(network: str, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        get_recipe(name, network)
