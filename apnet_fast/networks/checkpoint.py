"""Read and write checkpoints as safetensors files, and check what they hold.

`networks.metadata` defines what a file records about itself, `networks.values` which values weights may have, and
`networks.checksum` the hash that shows whether a file has changed since it was written.
"""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from apnet_fast.networks.checksum import CHECKSUM, content_sha256, labels_sha256
from apnet_fast.networks.kinds import NETWORKS, Architecture, NetworkKind, kind_of
from apnet_fast.networks.metadata import FORMAT, LabelValues, TensorLayout, WeightsHeader, read_header
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.networks.values import check_values
from apnet_fast.recipes.flux import FLUX_UNIT, FluxRange, plausible_range
from apnet_fast.support.errors import WeightsError
from apnet_fast.support.files import written_whole
from apnet_fast.support.forks import sound
from apnet_fast.support.notices import warn_once

# How safetensors names the types of tensors.
_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
SIMULATED = "simulated"
"""`Checkpoint.trained_on` of weights whose training spectra were all simulated."""


@dataclass(frozen=True)
class Checkpoint:
    """Hold the checked weights of one network.

    network: its name in `kinds.NETWORKS`. state: CPU tensors by upstream's state_dict keys. sha256: hash of the file
    that was read ("" if made in memory). origin, source_sha256: words for, and hash of, what it was made from.
    left_out: keys of the source that were dropped. flux_range: least and greatest median flux of the spectra it was
    trained on, in `FLUX_UNIT`; None if unknown. trained_on: "simulated" for weights that mean nothing on real spectra.
    """

    network: str
    architecture: Architecture
    scaling: LabelScaling
    state: Mapping[str, Tensor]
    origin: str
    source_sha256: str = ""
    left_out: tuple[str, ...] = ()
    sha256: str = ""
    flux_range: FluxRange | None = None
    trained_on: str = ""

    @property
    def for_simulated_only(self) -> bool:
        """Tell whether these weights mean nothing on real spectra, because they were trained on simulated ones."""
        return self.trained_on == SIMULATED

    @property
    def plausible_flux(self) -> FluxRange:
        """Return the range of median flux [1e-17 erg/s/cm^2/Angstrom] in which these weights can be used."""
        return plausible_range(self.flux_range)

    def module(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the network with these weights, in eval mode, with parameters in `dtype`, on the CPU."""
        with torch.device("meta"):
            network = NETWORKS[self.network].module(self.architecture)
        network.load_state_dict(dict(self.state), strict=True, assign=True)
        return network.to(dtype).eval().requires_grad_(False)

    @sound
    def save(self, path: Path) -> None:
        """Write a safetensors file, which appears complete or not at all."""
        metadata = {
            "format": FORMAT,
            "network": self.network,
            "architecture": json.dumps(self.architecture.as_dict()),
            "labels": json.dumps(self.scaling.as_dict()),
            "origin": self.origin,
            "source_sha256": self.source_sha256,
            "left_out": json.dumps(list(self.left_out)),
            "flux_unit": FLUX_UNIT,
        }
        if self.flux_range is not None:
            metadata["flux_range"] = json.dumps(list(self.flux_range))
        if self.trained_on:
            metadata["trained_on"] = self.trained_on
        metadata[CHECKSUM] = content_sha256(metadata, self.state)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Clone, because safetensors refuses tensors that share memory.
        state = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in self.state.items()}
        with written_whole(path) as partial:
            try:
                save_file(state, partial, metadata)
            except SafetensorError as error:
                raise WeightsError(f"cannot write the weights file: {error}", where=str(path)) from error
            _sort_metadata(partial)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file, so that equal weights make equal files.

    The library writes them in an order that differs from call to call.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # same content, reordered; blanks fill the header up to its length
            file.seek(8)
            file.write(text.ljust(length))


def check_state(state: Mapping[str, Tensor], architecture: Architecture, where: str) -> None:
    """Raise WeightsError, naming keys, unless `state` is exactly the network's state_dict, with sound values."""
    _check_layout({key: (tuple(value.shape), value.dtype) for key, value in state.items()}, architecture, where)
    check_values(state, where)


def _check_layout(
    layout: Mapping[str, tuple[tuple[int, ...], torch.dtype | str]], architecture: Architecture, where: str
) -> None:
    """Raise WeightsError, naming keys, unless keys, shapes and types are exactly those of the network."""
    kind = kind_of(architecture)
    expected = kind.expected_tensors(architecture)
    missing = [key for key in expected if key not in layout]
    if missing:
        raise WeightsError(
            f"weights lack the key{'s' if len(missing) > 1 else ''} {_listed(missing)}",
            got=f"{len(layout)} tensors",
            expected=f"the {len(expected)} tensors of {kind.title}",
            remedy="use the complete checkpoint, with the --network and the model_args.yaml that belong to it",
            where=where,
        )
    extra = [key for key in layout if key not in expected]
    if extra:
        raise WeightsError(
            f"weights hold the unknown key{'s' if len(extra) > 1 else ''} {_listed(extra)}",
            expected=f"only the {len(expected)} tensors of {kind.title}",
            remedy=f"check that this checkpoint belongs to {kind.title} and to this architecture",
            where=where,
        )
    for key, tensor in expected.items():
        shape, dtype = layout[key]
        if shape != tuple(tensor.shape) or dtype != tensor.dtype:
            raise WeightsError(
                f"wrong shape or type of {key}",
                got=f"{shape} {dtype}",
                expected=f"{tuple(tensor.shape)} {tensor.dtype}",
                remedy="check the architecture (model_args.yaml) that belongs to this checkpoint",
                where=where,
            )


# SHA-256 of files whose checksum this process has verified: times of a file would miss a change within their last tick.
_verified: set[str] = set()


@sound
def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a safetensors file that `Checkpoint.save` wrote.

    Its header is checked whole before anything else is read (`networks.metadata`), and its content against its
    checksum, once per process for the same content. A file of earlier versions has no checksum, or one that does not
    cover its words, which a line on stderr says.
    Raises WeightsError if the file is missing, has changed since it was written, or cannot be used.
    """
    header, where = read_header(path), str(path)
    metadata = header.metadata
    kind = NETWORKS[metadata.network]
    architecture = kind.architecture_from(metadata.architecture, where)
    scaling = _scaling(metadata.labels, kind, where)
    _check_layout({key: _layout_of(value) for key, value in header.tensors.items()}, architecture, where)
    # Read, not mapped: whatever happens to the file later, the weights stay those that were checked.
    content = path.read_bytes()
    if not content.startswith(header.beginning):
        raise WeightsError("the weights file changed while it was read", remedy="load it again", where=where)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        state = load(content)
    except SafetensorError as error:
        raise WeightsError(f"cannot read weights: {error}", remedy="get a sound copy", where=where) from error
    check_state(state, architecture, where)
    if sha256 not in _verified:
        _verify(header, architecture, scaling, state, where)
        _verified.add(sha256)
    return Checkpoint(
        network=kind.name,
        architecture=architecture,
        scaling=scaling,
        state=state,
        origin=metadata.origin,
        source_sha256=metadata.source_sha256,
        left_out=tuple(metadata.left_out),
        sha256=sha256,
        flux_range=metadata.flux_range,
        trained_on=metadata.trained_on,
    )


def network_of(path: Path) -> str:
    """Return the network of a weights file ("v3", "v2", "v1") from its header alone; raises WeightsError."""
    return read_header(path).metadata.network


def _verify(
    header: WeightsHeader, architecture: Architecture, scaling: LabelScaling, state: Mapping[str, Tensor], where: str
) -> None:
    written = header.metadata.content_sha256
    if written is None:
        warn_once(f"{where} has no checksum, because an earlier version wrote it: damage to it cannot be noticed")
        return
    if header.is_of_this_version:
        found = content_sha256(header.texts, state)
    else:
        found = labels_sha256(architecture, scaling, state)
        warn_once(
            f"{where} has a checksum that does not cover its words, because an earlier version wrote it: damage to them"
            " (what it was trained on, its range of flux) cannot be noticed; import or train it again"
        )
    if written != found:
        raise WeightsError(
            "the weights have changed since they were written",
            got=f"content {found}",
            expected=written,
            remedy="get a sound copy: a disk or a transfer has damaged this one",
            where=where,
        )


def _layout_of(tensor: TensorLayout) -> tuple[tuple[int, ...], torch.dtype | str]:
    return tuple(tensor.shape), _TYPES.get(tensor.dtype, tensor.dtype)


def _scaling(labels: LabelValues, kind: NetworkKind, where: str) -> LabelScaling:
    """Return a file's label scaling, which must name the network's labels in their order."""
    numbers = [*labels.mean, *labels.std]
    if (
        labels.names != list(kind.scaling.names)
        or not all(math.isfinite(number) for number in numbers)
        or min(labels.std) <= 0
    ):
        raise WeightsError(
            f"the label scaling is not that of {kind.title}",
            got=reprlib.repr([labels.names, labels.mean, labels.std]),
            expected={"names": list(kind.scaling.names), "mean": "3 finite numbers", "std": "3 positive numbers"},
            where=where,
        )
    return LabelScaling(names=tuple(labels.names), mean=tuple(labels.mean), std=tuple(labels.std))


def _listed(keys: list[str], most: int = 6) -> str:
    # Names in a file may be of any length.
    shown = ", ".join(key if len(key) < 100 else f"{key[:100]}..." for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
