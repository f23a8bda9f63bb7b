"""Prepare networks for training: fresh weights, and labels in the network's order and scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from apnet_fast.networks.kinds import Architecture, NetworkKind
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.support.errors import UsageError
from apnet_fast.train.start import start_v3, start_vgg

# Each adjusts freshly drawn weights to a batch of inputs (B, 1, pixels) and to which of its pixels hold data.
_STARTS: Mapping[str, Callable[[Any, Tensor, Tensor], None]] = {"v3": start_v3, "v2": start_vgg, "v1": start_vgg}


def fresh_network(
    kind: NetworkKind, architecture: Architecture, seed: int, inputs: Tensor, covered: Tensor
) -> nn.Module:
    """Return a network with random weights, ready to learn; the caller's random state stays unchanged.

    inputs: (B, 1, pixels), a batch as the network will see it. covered: bool (B, pixels), pixels with data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kind.module(architecture)
        _STARTS[kind.name](network, inputs, covered)
    return network


def label_targets(labels: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Convert (n, 3) teff [K], logg, fe_h to a network's labels in its order, unscaled; NaN stays NaN."""
    columns = {"teff": labels[:, 0], "log_teff": np.log10(labels[:, 0]), "logg": labels[:, 1], "fe_h": labels[:, 2]}
    return np.stack([columns[name] for name in names], axis=1)


def scaling_of(targets: NDArray[np.float64], names: tuple[str, ...]) -> LabelScaling:
    """Return mean and standard deviation of each label over the training spectra that have it.

    Raises UsageError for a label without two different values.
    """
    for column, name in enumerate(names):
        known = targets[~np.isnan(targets[:, column]), column]
        if len(known) < 2 or known.min() == known.max():
            raise UsageError(
                f"the training spectra do not have two different values of {name}",
                got=f"{len(known)} values",
                remedy="give a label table with more stars",
            )
    return LabelScaling(
        names=names,
        mean=tuple(float(value) for value in np.nanmean(targets, axis=0)),
        std=tuple(float(value) for value in np.nanstd(targets, axis=0)),
    )
