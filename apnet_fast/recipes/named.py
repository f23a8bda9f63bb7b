"""Define the named recipes of every network, and the noise models they use.

docs/recipes.md has tables of what each name means.
"""

from __future__ import annotations

from dataclasses import replace

from apnet_fast.recipes import flag_tables
from apnet_fast.recipes.labels import NoiseModel
from apnet_fast.recipes.recipe import Recipe
from apnet_fast.recipes.versions import network_version
from apnet_fast.support.errors import UsageError

PAGE_NOISE_MODEL = NoiseModel(scale=(1.25, 1.25, 1.0), offset=(10.0, 0.01, 0.01))
# Astra 0.5.0 and 0.6.0, `ApogeeNetV2`.
V2_NOISE_MODEL = NoiseModel(scale=(1.25, 1.5, 1.25), offset=(5.0, 0.01, 0.01))

# The first recipe of each network is its default.
RECIPES_OF: dict[str, dict[str, Recipe]] = {
    network: {recipe.name: recipe for recipe in recipes}
    for network, recipes in {
        "v3": (
            Recipe(
                name="dr19",
                network="v3",
                clip=0.0,
                missing_errors="median",
                label="median",
                teff_error="kelvin",
                noise_model=PAGE_NOISE_MODEL,
                flag_table=flag_tables.PAGE,
            ),
            Recipe(
                name="astra-0.6",
                network="v3",
                clip=1.0,
                percentile_over="spectrum",
                missing_errors="median",
                label="clean",
                teff_error="dex",
                noise_model=PAGE_NOISE_MODEL,
                flag_table=flag_tables.ASTRA_06,
            ),
            Recipe(
                name="bossnet-2",
                network="v3",
                clip=1.0,
                missing_errors="zero",
                label="clean",
                teff_error="dex",
                noise_model=None,
                flag_table=flag_tables.NO_RESULT_ONLY,
            ),
        ),
        "v2": (
            Recipe(
                name="astra-0.6",
                network="v2",
                log_flux=False,
                missing_errors="median-of-all",
                label="clean",
                teff_error="kelvin",
                noise_model=V2_NOISE_MODEL,
                flag_table=flag_tables.ASTRA_06_V2,
                ddof=0,
                skip_nonfinite=True,
                photometry="astra",
            ),
            Recipe(
                name="dr19",
                network="v2",
                log_flux=False,
                missing_errors="median-of-all",
                label="median",
                teff_error="kelvin",
                noise_model=V2_NOISE_MODEL,
                flag_table=flag_tables.PAGE,
                photometry="astra",
            ),
            Recipe(
                name="apogeenet-2",
                network="v2",
                log_flux=False,
                missing_errors="flux",
                label="clean",
                teff_error="dex",
                noise_model=None,
                flag_table=flag_tables.NO_RESULT_ONLY,
                lower_median=True,
                photometry="apogeenet-2",
            ),
        ),
        "v1": (
            Recipe(
                name="astra-2020",
                network="v1",
                log_flux=False,
                missing_errors="flux-and-median",
                label="mean",
                teff_error="kelvin",
                noise_model=None,
                flag_table=flag_tables.NO_RESULT_ONLY,
                clean_first=True,
            ),
        ),
    }.items()
}
RECIPES = RECIPES_OF["v3"]

MEDIANS_SUFFIX = "+medians"
"""Behind a recipe's name: its products have the medians of the draws too. Nothing else changes."""

# v2's recipes have them anyway, and astra-0.6 has exactly the columns of the released files.
_MAY_ADD_MEDIANS = {"v3": ("dr19", "bossnet-2")}


def get_recipe(name: str | None, network: str) -> Recipe:
    """Return a network's recipe by name; None means the network's default.

    "dr19+medians" and "bossnet-2+medians" of v3 add the medians of the draws to the label columns.
    Raises UsageError for an unknown recipe or network.
    """
    recipes = RECIPES_OF[network_version(network).name]
    if name is None:
        return next(iter(recipes.values()))
    if name.endswith(MEDIANS_SUFFIX):
        return _with_medians(get_recipe(name.removesuffix(MEDIANS_SUFFIX), network))
    if name not in recipes:
        known = any(name in others for others in RECIPES_OF.values())
        raise UsageError(
            f"recipe not defined for ApogeeNet {network}" if known else "unknown recipe",
            got=repr(name),
            expected=" | ".join(recipes),
            remedy=f"--recipe {next(iter(recipes))}, or weights of the network that the recipe is for",
        )
    return recipes[name]


def _with_medians(recipe: Recipe) -> Recipe:
    names = _MAY_ADD_MEDIANS.get(recipe.network, ())
    if recipe.name not in names:
        raise UsageError(
            f"recipe {recipe.name} of ApogeeNet {recipe.network} cannot add the medians of the draws",
            expected=" | ".join(name + MEDIANS_SUFFIX for name in names) or "a recipe of v3",
            remedy=f"--recipe {recipe.name}" + (", which has them" if recipe.medians else ""),
        )
    return replace(recipe, name=recipe.name + MEDIANS_SUFFIX, add_medians=True)
