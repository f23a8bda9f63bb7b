"""List the networks side by side: everything that depends on the network stands here, once."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from apnet_fast.networks.scaling import V1_SCALING, V2_SCALING, V3_SCALING, LabelScaling
from apnet_fast.networks.v1 import ApogeeNetV1, ArchitectureV1
from apnet_fast.networks.v2 import ApogeeNetV2, ArchitectureV2
from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3
from apnet_fast.recipes.versions import VERSIONS, NetworkVersion, network_version
from apnet_fast.support.errors import WeightsError

Architecture = ArchitectureV3 | ArchitectureV2 | ArchitectureV1

# Sizes beyond any network of these kinds, below what torch can hold as a shape.
_LARGEST, _MOST_LAYERS = 65_536, 64
_NUMBERS_OF_LAYERS = ("num_linear",)


@dataclass(frozen=True)
class NetworkKind:
    """Describe one version of ApogeeNet, with its torch classes.

    version: what is known of it without torch.
    mark: start of keys that this network has and no network after it in NETWORKS.
    module, architecture: its classes; `module(architecture)` makes a network.
    scaling: the scaling of its labels.
    fixed: arguments of upstream's model_args.yaml that can have one value only.
    constants: tensors of upstream's state_dict that are not weights; checked at import, written at export.
    left_out: further keys that an upstream checkpoint may hold and this network does not have.
    chunked: whether upstream cuts its checkpoint into model_chunk_0..9.
    files: names of the file of a whole checkpoint, upstream's own name first.
    """

    version: NetworkVersion
    mark: str
    architecture: type[Architecture]
    module: type[nn.Module]
    scaling: LabelScaling
    fixed: Mapping[str, object] = field(default_factory=dict)
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    left_out: re.Pattern[str] | None = None
    chunked: bool = False
    files: tuple[str, ...] = ("model.pt",)

    @property
    def name(self) -> str:
        """Return the version's name: "v3", "v2" or "v1"."""
        return self.version.name

    @property
    def title(self) -> str:
        """Return the name used in messages, such as "ApogeeNet v3"."""
        return self.version.title

    def expected_tensors(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the state_dict's keys, shapes and dtypes, as meta tensors."""
        with torch.device("meta"):
            return self.module(architecture).state_dict()

    def architecture_from(self, args: Any, where: str) -> Architecture:
        """Return the architecture from the values of a model_args.yaml.

        Raises WeightsError, naming the argument, for what this network cannot be.
        """
        if not isinstance(args, Mapping):
            raise WeightsError(
                "the architecture is not a mapping", got=type(args).__name__, expected="keys and values", where=where
            )
        for key, required in self.fixed.items():
            got = args.get(key, required)
            if got != required:
                raise WeightsError(
                    f"not an {self.title} architecture: {key}", got=reprlib.repr(got), expected=required, where=where
                )
        sizes = self.architecture.__dataclass_fields__
        values = {key: value for key, value in args.items() if key in sizes or key not in self.fixed}
        unknown = sorted(map(str, set(values) - set(sizes)))
        if unknown:
            names = reprlib.repr(unknown).strip("[]").replace("'", "")
            raise WeightsError(f"unknown architecture argument {names}", expected=", ".join(sizes), where=where)
        for key, value in values.items():
            several = isinstance(sizes[key].default, tuple)
            numbers = value if several and isinstance(value, list | tuple) and len(value) > 1 else [value]
            largest = _MOST_LAYERS if key in _NUMBERS_OF_LAYERS else _LARGEST
            if (
                (several and numbers is not value)
                or len(numbers) > _MOST_LAYERS
                or not all(type(number) is int and 0 < number <= largest for number in numbers)
            ):
                raise WeightsError(
                    f"architecture argument {key} makes no network",
                    got=reprlib.repr(value),
                    expected=f"{f'2 to {_MOST_LAYERS} whole numbers' if several else 'a whole number'}"
                    f" from 1 to {largest}",
                    where=where,
                )
        sound: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        architecture = self.architecture(**sound)
        if not 0 < architecture.features <= _LARGEST**2 or max(architecture.channels) > _LARGEST:
            raise WeightsError(
                "the architecture makes no network",
                got=f"up to {max(architecture.channels)} channels and {architecture.features} features",
                expected=f"at most {_LARGEST} channels, and one feature or more",
                where=where,
            )
        return architecture


NETWORKS: dict[str, NetworkKind] = {
    kind.name: kind
    for kind in (
        NetworkKind(
            version=VERSIONS["v3"],
            mark="res_blocks.",
            architecture=ArchitectureV3,
            module=ApogeeNetV3,
            scaling=V3_SCALING,
            fixed={"in_channels": 1, "pos_enc": True, "num_targets": 3},
            # Frequency of the position channel.
            constants={"pos_enc.inv_freq": torch.ones(1)},
            # Modules that public prototypes have and the released network does not.
            left_out=re.compile(r"metadatanet\..*|res_blocks\.\d+\.mlp\..*"),
            chunked=True,
        ),
        NetworkKind(
            version=VERSIONS["v2"],
            mark="metadata.",
            architecture=ArchitectureV2,
            module=ApogeeNetV2,
            scaling=V2_SCALING,
        ),
        NetworkKind(
            version=VERSIONS["v1"],
            mark="conv1.",
            architecture=ArchitectureV1,
            module=ApogeeNetV1,
            scaling=V1_SCALING,
            files=("APOGEE_NET.pt", "model.pt"),
        ),
    )
}


def network_kind(name: str) -> NetworkKind:
    """Return the network of that name. Raises UsageError for an unknown one."""
    return NETWORKS[network_version(name).name]


def resembled(keys: Collection[str]) -> NetworkKind | None:
    """Return the network that a state_dict's keys belong to, by its marks; None if they belong to none."""
    return next((kind for kind in NETWORKS.values() if any(key.startswith(kind.mark) for key in keys)), None)


def kind_of(architecture: Architecture) -> NetworkKind:
    """Return the network that an architecture belongs to."""
    return next(kind for kind in NETWORKS.values() if type(architecture) is kind.architecture)
