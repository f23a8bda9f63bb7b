"""Which networks can be trained: how to build one, its labels, and the checkpoint of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from apnet_fast.errors import UsageError
from apnet_fast.networks.checkpoint import Checkpoint, architecture_from_args
from apnet_fast.networks.scaling import V3_SCALING, LabelScaling
from apnet_fast.networks.v3 import ApogeeNetV3
from apnet_fast.train.start import start_v3


@dataclass(frozen=True)
class Trainable:
    """A network that can be trained.

    build: from model arguments (a mapping, as of model_args.yaml) to a module that maps inputs (B, 1, pixels) to
    (B, labels), scaled. label_names: of its outputs, in order. start: adjusts fresh weights to a batch of inputs and to
    where they hold data (bool (B, pixels)). checkpoint: from arguments, scaling, state and origin.
    """

    name: str
    label_names: tuple[str, ...]
    build: Callable[[Mapping[str, Any], str], nn.Module]
    start: Callable[[Any, Tensor, Tensor], None]
    checkpoint: Callable[[Mapping[str, Any], LabelScaling, Mapping[str, Tensor], str], Checkpoint]


def _build_v3(args: Mapping[str, Any], where: str) -> nn.Module:
    return ApogeeNetV3(architecture_from_args(args, where))


def _checkpoint_v3(
    args: Mapping[str, Any], scaling: LabelScaling, state: Mapping[str, Tensor], origin: str
) -> Checkpoint:
    return Checkpoint("v3", architecture_from_args(args, ""), scaling, state, origin)


NETWORKS = {"v3": Trainable("v3", V3_SCALING.names, _build_v3, start_v3, _checkpoint_v3)}


def find_network(name: str) -> Trainable:
    """The network of that name. UsageError for an unknown one."""
    if name not in NETWORKS:
        raise UsageError("this network cannot be trained", got=repr(name), expected=" | ".join(NETWORKS))
    return NETWORKS[name]


def label_targets(labels: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
    """(n, 3) teff [K], logg, fe_h to the labels of a network in its order, unscaled; NaN stays NaN."""
    columns = {"teff": labels[:, 0], "log_teff": np.log10(labels[:, 0]), "logg": labels[:, 1], "fe_h": labels[:, 2]}
    return np.stack([columns[name] for name in names], axis=1)


def scaling_of(targets: NDArray[np.float64], names: tuple[str, ...]) -> LabelScaling:
    """Mean and standard deviation of each label over the training spectra that have it.

    Raises UsageError for a label that has no two different values.
    """
    for column, name in enumerate(names):
        known = targets[~np.isnan(targets[:, column]), column]
        if len(known) < 2 or known.min() == known.max():
            raise UsageError(f"the training spectra have no two different values of {name}", got=f"{len(known)} values")
    return LabelScaling(
        names=names,
        mean=tuple(float(value) for value in np.nanmean(targets, axis=0)),
        std=tuple(float(value) for value in np.nanstd(targets, axis=0)),
    )


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module whose initial weights depend on the seed alone; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
