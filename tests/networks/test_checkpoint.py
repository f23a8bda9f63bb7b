"""Weights are checked, never guessed: what a safetensors file must be, and messages that name keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from apnet_fast.networks import checkpoint as checkpoint_module
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.networks.checksum import labels_sha256
from apnet_fast.networks.metadata import read_header
from apnet_fast.networks.shipped import weights_path
from apnet_fast.recipes.flux import SURVEY_FLUX_RANGE
from apnet_fast.support.errors import WeightsError
from apnet_fast.support.files import sha256_of


def changed(checkpoint: Checkpoint, key: str, value: torch.Tensor | None) -> Checkpoint:
    state = dict(checkpoint.state)
    if value is None:
        del state[key]
    else:
        state[key] = value
    return replace(checkpoint, state=state)


def test_a_saved_checkpoint_comes_back(small_checkpoint: Checkpoint, small_weights: Path) -> None:
    loaded = load_checkpoint(small_weights)
    assert loaded.architecture == small_checkpoint.architecture
    assert loaded.scaling == small_checkpoint.scaling
    assert loaded.origin == small_checkpoint.origin
    assert loaded.sha256 == sha256_of(small_weights)
    assert loaded.state.keys() == small_checkpoint.state.keys()
    for key, value in small_checkpoint.state.items():
        assert torch.equal(loaded.state[key], value)


def test_nothing_partial_is_left(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    small_checkpoint.save(tmp_path / "deep" / "w.safetensors")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("res_blocks.1.conv2.weight", None, "lack the key res_blocks.1.conv2.weight"),
        ("surplus.weight", torch.zeros(3), "unknown key surplus.weight"),
        ("first_conv.bn.bias", torch.zeros(5), r"first_conv.bn.bias; got \(5,\)"),
        ("first_conv.bn.bias", torch.zeros(4).double(), "first_conv.bn.bias.*float64"),
        ("first_conv.bn.bias", torch.full((4,), float("nan")), "first_conv.bn.bias holds values"),
        ("first_conv.bn.running_var", torch.full((4,), -1.0), "negative variances"),
    ],
)
def test_a_wrong_state_is_refused_by_the_name_of_the_key(
    small_checkpoint: Checkpoint, tmp_path: Path, key: str, value: torch.Tensor | None, words: str
) -> None:
    path = tmp_path / "w.safetensors"
    changed(small_checkpoint, key, value).save(path)
    with pytest.raises(WeightsError, match=words):
        load_checkpoint(path)


def rewritten(path: Path, source: Path, **changes: str | None) -> Path:
    """A copy of a weights file with changed metadata; None leaves a key out."""
    with safe_open(source, framework="pt") as file:
        metadata = {key: value for key, value in (file.metadata() | changes).items() if value is not None}
        save_file({key: file.get_tensor(key) for key in file.keys()}, path, metadata)  # noqa: SIM118
    return path


def labels(**changes: object) -> str:
    return json.dumps(
        {"names": ["logg", "log_teff", "fe_h"], "mean": [3.2, 3.7, -0.2], "std": [1.2, 0.1, 0.3]} | changes
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": labels(names=["log_teff", "logg", "fe_h"])}, "label scaling"),
        ({"labels": labels(std=[1.2, 0.0, 0.3])}, "label scaling"),
        ({"labels": labels(mean=[3.2])}, r"`array` of length >= 3 - at `\$\.labels\.mean`"),
        ({"labels": labels(mean=[3.2, float("nan"), 0])}, "label scaling"),
        ({"labels": labels(extra=1)}, "unknown field `extra`"),
        ({"labels": "{"}, "not JSON"),
        ({"labels": None, "origin": None}, "lack labels, origin"),
        ({"network": "v9"}, "unknown network"),
        ({"architecture": "[1]"}, "not a mapping"),
    ],
)
def test_wrong_metadata_are_refused(small_weights: Path, tmp_path: Path, changes: dict, words: str) -> None:
    assert load_checkpoint(rewritten(tmp_path / "same.safetensors", small_weights, labels=labels()))
    with pytest.raises(WeightsError, match=words):
        load_checkpoint(rewritten(tmp_path / "w.safetensors", small_weights, **changes))


def test_tied_tensors_are_saved_apart(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    key, other = "res_blocks.1.bn1.weight", "res_blocks.1.bn2.weight"
    changed(small_checkpoint, other, small_checkpoint.state[key]).save(tmp_path / "w.safetensors")
    loaded = load_checkpoint(tmp_path / "w.safetensors").state
    assert torch.equal(loaded[key], loaded[other])


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        load_checkpoint(tmp_path / "absent.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    with pytest.raises(WeightsError, match="cannot read weights"):
        load_checkpoint(text)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(WeightsError, match="weights import"):
        load_checkpoint(foreign)


def test_the_module_computes_in_the_wanted_precision(small_checkpoint: Checkpoint) -> None:
    x = torch.rand(2, 1, 8575) + 5
    single = small_checkpoint.module()(x)
    double = small_checkpoint.module(torch.float64)(x.double())
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert torch.allclose(single.double(), double, rtol=1e-5, atol=1e-5)
    assert not small_checkpoint.module().training


def flipped(source: Path, path: Path, byte: int, bit: int) -> Path:
    content = bytearray(source.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)
    return path


def header_end(path: Path) -> int:
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def test_a_flipped_bit_of_a_tensor_is_noticed(small_weights: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    size = small_weights.stat().st_size
    for byte in rng.integers(header_end(small_weights), size, 20):
        path = flipped(small_weights, tmp_path / "w.safetensors", int(byte), int(rng.integers(8)))
        with pytest.raises(
            WeightsError, match=r"have changed since they were written|values that are not finite|absurd"
        ):
            load_checkpoint(path)
    (tmp_path / "w.safetensors").write_bytes(small_weights.read_bytes())
    load_checkpoint(tmp_path / "w.safetensors")


def test_a_changed_digit_of_the_label_scaling_is_noticed(small_weights: Path, tmp_path: Path) -> None:
    for change in (labels(mean=[3.3, 3.7, -0.2]), labels(std=[1.2, 0.1, 0.30000001])):
        with pytest.raises(WeightsError, match=r"have changed since they were written.*sound copy"):
            load_checkpoint(rewritten(tmp_path / "w.safetensors", small_weights, labels=change))


def demo_like(small_checkpoint: Checkpoint, path: Path) -> Path:
    replace(small_checkpoint, flux_range=(9.5, 2e4), trained_on="simulated", origin="trained here").save(path)
    return path


def test_every_bit_of_the_metadata_counts(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A flip in the key trained_on made the warning of weights for simulated spectra vanish."""
    source, path = demo_like(small_checkpoint, tmp_path / "sound.safetensors"), tmp_path / "w.safetensors"
    content = source.read_bytes()
    start = content.index(b'"__metadata__"')
    stop = content.index(b"}", content.index(b"trained_on")) + 1
    assert stop - start > 500
    for byte in range(start, stop):
        with pytest.raises(WeightsError):
            load_checkpoint(flipped(source, path, byte, byte % 8))
    assert load_checkpoint(source).for_simulated_only


@pytest.mark.parametrize(
    "changes",
    [
        {"trained_on": None}, {"trained_on": "simulatee"}, {"trained_on": None, "prained_on": "simulated"},
        {"flux_range": None}, {"flux_range": "[9.5, 3e4]"}, {"origin": "mine"}, {"source_sha256": "0" * 64},
        {"left_out": '["a"]'}, {"note": "of the user"}, {"flux_unit": None}, {"content_sha256": None},
    ],
)  # fmt: skip
def test_changed_words_are_noticed(changes: dict, small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    source = demo_like(small_checkpoint, tmp_path / "sound.safetensors")
    load_checkpoint(rewritten(tmp_path / "w.safetensors", source))
    with pytest.raises(WeightsError, match=r"have changed since they were written|which nobody wrote there|lack"):
        load_checkpoint(rewritten(tmp_path / "w.safetensors", source, **changes))


def earlier(path: Path, source: Path, checkpoint: Checkpoint, **changes: str | None) -> Path:
    """A file as the version before wrote it: its checksum covers what labels depend on."""
    written = labels_sha256(checkpoint.architecture, checkpoint.scaling, checkpoint.state)
    return rewritten(path, source, **{"format": "apnet_fast/1", "content_sha256": written, **changes})


def test_a_file_of_the_version_before_is_loaded_with_one_line(
    small_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = demo_like(small_checkpoint, tmp_path / "sound.safetensors")
    old = earlier(tmp_path / "old.safetensors", source, small_checkpoint)
    assert [load_checkpoint(old).trained_on for _ in range(2)] == ["simulated"] * 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(old) in line
    assert "has a checksum that does not cover its words" in line
    for name, changes, words in (
        ("labels", {"labels": labels(mean=[3.3, 3.7, -0.2])}, "have changed"),
        ("key", {"trained_on": None, "prained_on": "simulated"}, "'prained_on', which nobody wrote there"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_checkpoint(earlier(tmp_path / f"{name}.safetensors", source, small_checkpoint, **changes))


def test_a_file_without_a_checksum_is_loaded_with_one_line(
    small_weights: Path, small_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"format": "apnet_fast/1", "content_sha256": None, "flux_unit": None, "note": "of the user"}
    old = rewritten(tmp_path / "old.safetensors", small_weights, **changes)
    for _ in range(3):
        loaded = load_checkpoint(old)
    assert all(torch.equal(loaded.state[key], value) for key, value in small_checkpoint.state.items())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert str(old) in lines[0]
    assert "has no checksum" in lines[0]
    load_checkpoint(small_weights)
    assert capsys.readouterr().err == ""


def test_the_same_content_is_verified_once(
    small_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hashed = tmp_path / "w.safetensors", []
    replace(small_checkpoint, origin="no other file").save(path)
    original = checkpoint_module.content_sha256
    monkeypatch.setattr(checkpoint_module, "content_sha256", lambda *given: hashed.append(1) or original(*given))
    first, again = load_checkpoint(path), load_checkpoint(path)
    assert (len(hashed), first.sha256) == (1, again.sha256)
    assert first.sha256 == sha256_of(path)
    # Of the same length, and perhaps within the same tick of the file system's clock.
    path.write_bytes(flipped(path, tmp_path / "other", header_end(path) + 100, 3).read_bytes())
    with pytest.raises(WeightsError, match="have changed"):
        load_checkpoint(path)
    assert len(hashed) == 2


def test_a_file_that_is_exchanged_while_it_is_read_is_refused(
    small_weights: Path, small_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "w.safetensors", tmp_path / "other.safetensors"
    path.write_bytes(small_weights.read_bytes())
    replace(small_checkpoint, origin="another file").save(other)
    monkeypatch.setattr(checkpoint_module, "read_header", lambda given: read_header(other))
    with pytest.raises(WeightsError, match="changed while it was read"):
        load_checkpoint(path)


def test_a_file_that_is_overwritten_changes_no_loaded_weights(
    small_weights: Path, small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(small_weights.read_bytes())
    loaded = load_checkpoint(path)
    path.write_bytes(b"0" * path.stat().st_size)
    assert all(torch.equal(loaded.state[key], value) for key, value in small_checkpoint.state.items())


def test_what_the_weights_were_trained_on_comes_back(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    replace(small_checkpoint, flux_range=(9.5, 2e4), trained_on="simulated").save(path)
    loaded = load_checkpoint(path)
    assert loaded.flux_range == (9.5, 2e4)
    assert loaded.plausible_flux == (4.75, 4e4)
    assert loaded.for_simulated_only
    small_checkpoint.save(path)
    survey = load_checkpoint(path)
    assert (survey.flux_range, survey.plausible_flux) == (None, SURVEY_FLUX_RANGE)
    assert not survey.for_simulated_only


def test_the_demo_weights_are_for_simulated_spectra(capsys: pytest.CaptureFixture[str]) -> None:
    demo = load_checkpoint(weights_path("demo"))
    assert demo.for_simulated_only
    assert demo.flux_range is not None
    assert 1 < demo.plausible_flux[0] < demo.flux_range[0] < demo.flux_range[1] < demo.plausible_flux[1]
    assert read_header(weights_path("demo")).is_of_this_version
    assert capsys.readouterr().err == ""
