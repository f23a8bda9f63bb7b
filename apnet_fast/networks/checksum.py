"""Hash the content of a weights file, so that a file that has changed is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from apnet_fast.networks.kinds import Architecture, kind_of
from apnet_fast.networks.scaling import LabelScaling

CHECKSUM = "content_sha256"
"""Key of the metadata that holds the checksum."""


def content_sha256(texts: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """Return the hexadecimal SHA-256 of a file's metadata, all but the checksum, and of its tensors.

    Metadata count with keys and texts, tensors with their key, type, shape and bytes (little-endian), each in the order
    of their keys; so the hash does not depend on the layout of a file. Weights of the published size take well under a
    second.
    """
    return _sha256(sorted((key, text) for key, text in texts.items() if key != CHECKSUM), state)


def labels_sha256(architecture: Architecture, scaling: LabelScaling, state: Mapping[str, Tensor]) -> str:
    """Return the checksum of files of the format before: what labels depend on, and no words."""
    return _sha256([kind_of(architecture).name, architecture.as_dict(), scaling.as_dict()], state)


def _sha256(settings: object, state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for key in sorted(state):
        tensor = state[key].detach().contiguous()
        digest.update(json.dumps([key, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
