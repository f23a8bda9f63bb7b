"""Find the weights that a command or a Python call does not name: those of the environment.

APNET_FAST_WEIGHTS names a weights file, or the word "demo". Without it, Astra's copy of ApogeeNet v3 is used, which
lies below MWM_ASTRA in the upstream form: it is imported once, into a file whose name has its checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.networks.metadata import read_header
from apnet_fast.networks.shipped import weights_path
from apnet_fast.networks.upstream import check_upstream_files, import_upstream, upstream_sha256
from apnet_fast.support.errors import UsageError, WeightsError
from apnet_fast.support.files import sha256_of
from apnet_fast.support.notices import say
from apnet_fast.support.variables import ASTRA, WEIGHTS, cache_folder, folder_of, state_of, value_of

IN_ASTRA = Path("pipelines", "ANet", "deconstructed_model")
"""Where Astra keeps the checkpoint of ApogeeNet v3, below MWM_ASTRA."""
_NETWORK_IN_ASTRA = "v3"
_DIGITS_IN_NAME = 16

REMEDY = f"set {WEIGHTS} to a weights file, or {ASTRA} to Astra's folder with {IN_ASTRA}"
"""How weights can be had from the environment."""


@dataclass(frozen=True)
class WeightsSource:
    """Where weights are.

    path: a weights file, or the folder of an upstream checkpoint. variable: the environment variable that named them;
    None if the user did. upstream: the network of an upstream checkpoint, which has to be imported; else None.
    """

    path: Path
    variable: str | None = None
    upstream: str | None = None

    @property
    def network(self) -> str:
        """Return "v3", "v2" or "v1"; raises WeightsError for a file that is not a weights file."""
        return self.upstream or read_header(self.path).metadata.network

    def check(self) -> None:
        """Raise WeightsError for what cannot be weights: by the header of a file, by the files of a checkpoint."""
        if self.upstream is None:
            read_header(self.path)
        else:
            check_upstream_files(self.path, self.upstream)

    def file(self, folders: Sequence[Path], scratch: Path | None = None) -> Path:
        """Return the weights file, imported into the first of `folders` that can be written, if it must be.

        scratch: a folder to import into instead, unless one of `folders` has the file already.
        """
        return self.path if self.upstream is None else _imported(self.path, self.upstream, folders, scratch)


def weights_source(weights: str | Path | None) -> WeightsSource | None:
    """Return where weights are: those given, else those of the environment; None if there are none."""
    if weights is not None and str(weights):
        return WeightsSource(weights_path(weights))
    named = value_of(WEIGHTS)
    if named is not None:
        return WeightsSource(weights_path(named), WEIGHTS)
    astra = folder_of(ASTRA)
    if astra is not None and (astra / IN_ASTRA).is_dir():
        return WeightsSource(astra / IN_ASTRA, ASTRA, _NETWORK_IN_ASTRA)
    return None


def find_weights(weights: str | Path | None) -> Path:
    """Return the weights file of a word ("demo") or a path; for None, the file that the environment names.

    Astra's checkpoint is imported into the user's cache (XDG_CACHE_HOME). Raises UsageError if there are no weights,
    WeightsError if Astra's cannot be used.
    """
    source = weights_source(weights)
    if source is None:
        raise UsageError(f"no weights: {what_is_there()}", expected="a weights file", remedy=f"name one, or {REMEDY}")
    return source.file([cache_folder()])


def what_is_there() -> str:
    """Return in words what the environment holds instead of weights."""
    astra = folder_of(ASTRA)
    missing = state_of(ASTRA) if astra is None else f"there is no folder {astra / IN_ASTRA}"
    return f"{WEIGHTS} is not set, and {missing}"


def _imported(source: Path, network: str, folders: Sequence[Path], scratch: Path | None) -> Path:
    """Return the weights file of an upstream checkpoint: one that was imported before, else a new one."""
    checksum = upstream_sha256(source, network)
    name = f"apogeenet-{network}-{checksum[:_DIGITS_IN_NAME]}.safetensors"
    for folder in folders:
        if _is_import(folder / name, checksum):
            say(f"weights: {folder / name}, imported from {source} (sha256 {checksum})")
            return folder / name
    checkpoint = import_upstream(source, network)
    if scratch is not None:
        checkpoint.save(scratch / name)
        say(f"weights: {source} (sha256 {checksum}); a run imports them into {folders[0] / name}")
        return scratch / name
    for folder in folders:
        try:
            checkpoint.save(folder / name)
        except OSError as error:
            say(f"no weights file in {folder}: {error.strerror}")
            continue
        say(f"weights: {source} (sha256 {checksum}) imported into {folder / name} (sha256 {sha256_of(folder / name)})")
        return folder / name
    raise UsageError(
        "no folder to import the weights into",
        got=", ".join(map(str, folders)),
        expected="a folder that you may write in",
        remedy=f"`python -m apnet_fast.weights import {source} --network {network} --output W.safetensors`"
        f" where you may, and set {WEIGHTS} to that file",
    )


def _is_import(path: Path, checksum: str) -> bool:
    try:
        return path.is_file() and read_header(path).metadata.source_sha256 == checksum
    except (WeightsError, OSError):
        return False  # damaged: it is written anew
