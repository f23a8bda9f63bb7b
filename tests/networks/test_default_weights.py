"""Weights that nobody named: those of the environment, and Astra's, which are imported once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from apnet_fast.networks import default_weights
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.networks.default_weights import IN_ASTRA, find_weights, weights_source
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.shipped import SHIPPED
from apnet_fast.networks.upstream import export_upstream, import_upstream, upstream_sha256
from apnet_fast.support.errors import UsageError, WeightsError
from apnet_fast.support.files import sha256_of
from tests.conftest import SMALL


@pytest.fixture
def astra(tmp_path: Path, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Astra's folder of a checkpoint, below MWM_ASTRA."""
    folder = tmp_path / "astra" / IN_ASTRA
    export_upstream(small_checkpoint, folder)
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path / "astra"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_what_is_given_comes_first(astra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APNET_FAST_WEIGHTS", "of-the-environment.safetensors")
    assert find_weights("mine.safetensors") == Path("mine.safetensors")
    assert find_weights("demo") == SHIPPED["demo"]
    assert find_weights(None) == Path("of-the-environment.safetensors")
    monkeypatch.setenv("APNET_FAST_WEIGHTS", "demo")
    assert find_weights(None) == SHIPPED["demo"]
    source = weights_source(None)
    assert source is not None
    assert (source.variable, source.network) == ("APNET_FAST_WEIGHTS", "v3")


def test_astras_weights_are_imported_once_and_their_checksums_told(
    astra: Path, tmp_path: Path, small_checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    source = weights_source(None)
    assert source is not None
    assert (source.path, source.variable, source.network) == (astra, "MWM_ASTRA", "v3")
    place = tmp_path / "catalogues"
    file = source.file([place])
    checksum = upstream_sha256(astra, "v3")
    assert file == place / f"apogeenet-v3-{checksum[:16]}.safetensors"
    said = capsys.readouterr().err
    assert checksum in said
    assert sha256_of(file) in said
    loaded = load_checkpoint(file)
    assert loaded.source_sha256 == checksum == import_upstream(astra, "v3").source_sha256
    assert all(torch.equal(value, small_checkpoint.state[key]) for key, value in loaded.state.items())

    before = file.stat().st_mtime_ns
    assert source.file([place]) == file
    assert file.stat().st_mtime_ns == before
    assert f"imported from {astra} (sha256 {checksum})" in capsys.readouterr().err


def test_what_cannot_be_weights_is_told_before_anything_is_read(astra: Path, tmp_path: Path) -> None:
    source = weights_source(None)
    assert source is not None
    source.check()
    (astra / "model_chunk_3").unlink()
    with pytest.raises(WeightsError, match="the folder lacks model_chunk_3"):
        source.check()
    weights_source("demo").check()  # type: ignore[union-attr]
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(WeightsError):
        weights_source(tmp_path / "text").check()  # type: ignore[union-attr]


def test_other_weights_of_astra_are_another_file(astra: Path, tmp_path: Path) -> None:
    source = weights_source(None)
    assert source is not None
    first = source.file([tmp_path / "place"])
    export_upstream(random_checkpoint(seed=2, architecture=SMALL), astra)
    second = source.file([tmp_path / "place"])
    assert second != first
    assert load_checkpoint(second).source_sha256 == upstream_sha256(astra, "v3")
    assert first.is_file()  # a run that began with it can go on


def test_a_damaged_import_is_written_anew(astra: Path, tmp_path: Path) -> None:
    source = weights_source(None)
    assert source is not None
    file = source.file([tmp_path / "place"])
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert source.file([tmp_path / "place"]) == file
    assert file.read_bytes() == whole


def test_the_next_folder_is_taken_if_the_first_cannot_be_written(astra: Path, tmp_path: Path) -> None:
    source = weights_source(None)
    assert source is not None
    (tmp_path / "a-file").touch()
    assert source.file([tmp_path / "a-file", tmp_path / "other"]).parent == tmp_path / "other"
    with pytest.raises(UsageError, match=r"no folder to import the weights into.*weights import .*APNET_FAST_WEIGHTS"):
        source.file([tmp_path / "a-file"])


def test_scratch_is_used_only_if_there_is_no_import_yet(
    astra: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, place, scratch = weights_source(None), tmp_path / "place", tmp_path / "scratch"
    assert source is not None
    file = source.file([place], scratch)
    assert file.parent == scratch
    assert not place.exists()
    assert f"a run imports them into {place / file.name}" in capsys.readouterr().err
    assert source.file([place]).read_bytes() == file.read_bytes()
    assert source.file([place], tmp_path / "other") == place / file.name
    assert not (tmp_path / "other").exists()


def test_python_calls_import_into_the_users_cache(astra: Path, tmp_path: Path) -> None:
    assert find_weights(None).parent == tmp_path / "cache" / "apnet_fast"


def test_no_weights_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no weights: APNET_FAST_WEIGHTS is not set, and MWM_ASTRA is not set"):
        find_weights(None)
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path))
    with pytest.raises(UsageError, match=re.escape(f"there is no folder {tmp_path / IN_ASTRA}")):
        find_weights(None)
    monkeypatch.setenv("MWM_ASTRA", os.devnull)
    with pytest.raises(UsageError, match="which is not a folder") as raised:
        find_weights(None)
    assert default_weights.REMEDY in str(raised.value)
