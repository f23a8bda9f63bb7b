"""Define what exactly is computed: arrays in, labels and flags out. This room knows no torch, files or devices."""

from __future__ import annotations

from apnet_fast.recipes.labels import LABELS, Labels, NoiseModel, Predictions, label_names
from apnet_fast.recipes.named import RECIPES, RECIPES_OF, get_recipe
from apnet_fast.recipes.rank import Rank, percentile_rank
from apnet_fast.recipes.recipe import Recipe
from apnet_fast.recipes.versions import VERSIONS, NetworkVersion, network_version

__all__ = [
    "LABELS",
    "RECIPES",
    "RECIPES_OF",
    "VERSIONS",
    "Labels",
    "NetworkVersion",
    "NoiseModel",
    "Predictions",
    "Rank",
    "Recipe",
    "get_recipe",
    "label_names",
    "network_version",
    "percentile_rank",
]
