"""Hash all that labels depend on in a set of weights, so that a file that has changed is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from apnet_fast.networks.kinds import Architecture, kind_of
from apnet_fast.networks.scaling import LabelScaling


def content_sha256(architecture: Architecture, scaling: LabelScaling, state: Mapping[str, Tensor]) -> str:
    """Return the hexadecimal SHA-256 of a network's name, architecture, label scaling and tensors.

    Tensors count with their key, type, shape and bytes (little-endian), in the order of their keys; so the hash does
    not depend on the layout of a file, nor on words in it that change no label. Weights of the published size take well
    under a second.
    """
    settings = [kind_of(architecture).name, architecture.as_dict(), scaling.as_dict()]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for key in sorted(state):
        tensor = state[key].detach().contiguous()
        digest.update(json.dumps([key, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
