"""Refuse weights whose values cannot be those of a network: not finite, absurdly large, or made so by BatchNorm."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from apnet_fast.networks.v3 import BATCH_NORM_EPS
from apnet_fast.support.errors import WeightsError

# What a network of this kind can hold, with a wide margin. Trained ones stay below 1e3, their variances below 1e5.
_LARGEST_WEIGHT, _LARGEST_VARIANCE = 1e6, 1e12
_REMEDY = "get a sound copy"


def check_values(state: Mapping[str, Tensor], where: str) -> None:
    """Raise WeightsError, naming the tensor, for values that are not finite, absurdly large, or negative variances."""
    for key, value in state.items():
        if not value.numel():
            continue
        # aminmax passes NaN on; isfinite on the whole tensor would copy the largest layer, 270 MB.
        least, greatest = (float(end) for end in torch.aminmax(value))
        if not (abs(least) < float("inf") and abs(greatest) < float("inf")):
            raise WeightsError(f"{key} holds values that are not finite", remedy=_REMEDY, where=where)
        if not value.is_floating_point():
            continue
        variance = key.endswith("running_var")
        if variance and least < 0:
            raise WeightsError(f"{key} holds negative variances", remedy=_REMEDY, where=where)
        limit = _LARGEST_VARIANCE if variance else _LARGEST_WEIGHT
        if max(-least, greatest) > limit:
            raise WeightsError(
                f"{key} holds absurdly large values",
                got=f"{least if -least > greatest else greatest:.3g}",
                expected=f"at most {limit:.0e}",
                remedy=_REMEDY,
                where=where,
            )
    for key in state:
        if key.endswith(".running_var"):
            _check_batch_norm(state, key.removesuffix(".running_var"), where)


def _check_batch_norm(state: Mapping[str, Tensor], name: str, where: str) -> None:
    """Check the scale and the shift that a BatchNorm amounts to, which fast engines fold into the conv before it."""
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / torch.sqrt(variance + BATCH_NORM_EPS)
    for what, values in (("scale", scale), ("shift", bias - mean * scale)):
        largest = float(values.abs().max())
        if not largest <= _LARGEST_WEIGHT:
            raise WeightsError(
                f"the BatchNorm {name} has an absurdly large {what}",
                got=f"{largest:.3g}",
                expected=f"at most {_LARGEST_WEIGHT:.0e}",
                remedy=_REMEDY,
                where=where,
            )
