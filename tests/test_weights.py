"""`apnet_fast.weights` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.networks.metadata import read_header
from apnet_fast.support.errors import UsageError, WeightsError
from apnet_fast.weights import app


def invoke(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_export_and_import_round_trip(small_weights: Path, tmp_path: Path) -> None:
    invoke("export", small_weights, "--output", tmp_path / "folder")
    said = invoke("import", tmp_path / "folder", "--network", "v3", "--output", tmp_path / "back.safetensors")
    assert "pos_enc.inv_freq" in said
    before, after = load_checkpoint(small_weights), load_checkpoint(tmp_path / "back.safetensors")
    assert all(torch.equal(before.state[key], after.state[key]) for key in before.state)
    assert len(after.source_sha256) == 64


@pytest.mark.slow
def test_random_weights_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    assert "not for science" in invoke("random", "--network", "v3", "--seed", "5", "--output", path)
    checkpoint = load_checkpoint(path)
    assert "seed 5" in checkpoint.origin
    assert sum(value.numel() for key, value in checkpoint.state.items() if "running" not in key) == 72_606_495 + 9


@pytest.mark.parametrize(("network", "tensors"), [("v2", 40), ("v1", 30)])
def test_v2_and_v1_go_out_and_in(network: str, tensors: int, tmp_path: Path) -> None:
    path, back = tmp_path / "w.safetensors", tmp_path / "back.safetensors"
    assert f"ApogeeNet {network}" in invoke("random", "--network", network, "--output", path)
    file = {"v2": "model.pt", "v1": "APOGEE_NET.pt"}[network]
    assert file in invoke("export", path, "--output", tmp_path / "folder")
    (tmp_path / "folder" / "model_args.yaml").unlink()  # upstream has none
    said = invoke("import", tmp_path / "folder" / file, "--network", network, "--output", back)
    assert f"ApogeeNet {network}, {tensors} tensors" in said
    before, after = load_checkpoint(path).state, load_checkpoint(back).state
    assert all(torch.equal(before[key], after[key]) for key in before)
    said = invoke("check", path)
    assert "conv12" in said
    assert "computed in fp32" in said


def test_errors_are_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        invoke("import", tmp_path / "nowhere", "--output", tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="unknown network"):
        invoke("random", "--network", "v4", "--output", tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_check_tells_what_the_weights_are_for(small_weights: Path) -> None:
    said = invoke("check", "demo")
    assert "median flux of 4.44 to 7.19e+04 [1e-17 erg/s/cm^2/Angstrom]" in said
    assert "for simulated spectra only" in said
    said = invoke("check", small_weights)
    assert "median flux of 3 to 3e+07" in said
    assert "simulated" not in said


def test_weights_of_the_environment_are_checked_and_exported(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no weights: APNET_FAST_WEIGHTS is not set"):
        invoke("check")
    monkeypatch.setenv("APNET_FAST_WEIGHTS", str(small_weights))
    assert invoke("check").startswith(f"{small_weights}: ApogeeNet v3")
    assert "model_chunk_9" in invoke("export", "--output", tmp_path / "folder")


def test_every_way_to_make_weights_writes_a_checksum(small_weights: Path, tmp_path: Path) -> None:
    invoke("export", small_weights, "--output", tmp_path / "folder")
    invoke("import", tmp_path / "folder", "--output", tmp_path / "imported.safetensors")
    invoke("random", "--network", "v1", "--output", tmp_path / "random.safetensors")
    for name in ("imported", "random"):
        metadata = read_header(tmp_path / f"{name}.safetensors").metadata
        assert metadata.content_sha256
        assert metadata.flux_unit == "1e-17 erg/s/cm^2/Angstrom"
