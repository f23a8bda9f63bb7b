"""The emulation of fp16 on the CPU: exact where it should be, and able to see a fault."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from apnet_fast.kernels.naive import naive_sums
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.networks.shipped import weights_path
from apnet_fast.recipes import RECIPES
from apnet_fast.simulate import observed_arrays
from apnet_fast.spectra import read_apstar
from benchmarks import precision
from benchmarks.precision import FourierFilter, Half, label_shifts
from tests.engines.battery import ordinary_spectra

PIXELS = 1027


def largest_shifts(checkpoint: Checkpoint, snr: float, recipe: str = "dr19") -> tuple[float, float]:
    """Return the largest shift of two spectra's clean labels, and of their draws' medians."""
    flux, error = ordinary_spectra(np.random.default_rng(0), 2, snr, PIXELS)
    moved = list(label_shifts(checkpoint, flux, error, ["a", "b"], 10, RECIPES[recipe]))
    clean, median = np.max(moved, axis=(0, 2))
    return clean, median


def network_outputs(checkpoint: Checkpoint, rows: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return checkpoint.module().double()(rows.double()[:, None])


@pytest.mark.parametrize(("length", "pad", "channels"), [(514, 15, 0), (513, 14, 4)])
def test_fourier_sums_are_the_twins(length: int, pad: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 513, 4, generator=generator)
    weight = torch.randn(8, 4, 30, generator=generator)
    residual = torch.randn(3, length, channels, generator=generator) if channels else None
    got = FourierFilter(weight).sums(x, pad, length, residual)
    kept = None if residual is None else residual.double()
    expected = naive_sums(x.double(), weight.double(), None, pad, length, kept)
    assert (got - expected).norm() < 1e-6 * expected.norm()
    shifted = naive_sums(x.double(), weight.double(), None, pad - 1, length, kept)
    assert (got - shifted).norm() > 0.1 * expected.norm()


def test_outputs_are_the_networks(small_checkpoint: Checkpoint) -> None:
    torch.manual_seed(0)
    rows = torch.randn(3, PIXELS)
    expected = network_outputs(small_checkpoint, rows)
    got = Half(fold_v3(small_checkpoint, PIXELS)).outputs(rows)
    # The clean row keeps 22 bits, draws as far off as noise keep 11.
    torch.testing.assert_close(got[:1].double(), expected[:1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.double(), expected, rtol=5e-3, atol=5e-3)
    assert (got[1:] - expected[1:]).abs().max() > 1e-5


def test_rounding_of_draws_scales_with_their_distance(small_checkpoint: Checkpoint) -> None:
    torch.manual_seed(0)
    network = Half(fold_v3(small_checkpoint, PIXELS))
    clean, noise = torch.randn(1, PIXELS), torch.randn(1, PIXELS)
    errors = []
    for scale in (0.0, 1e-3, 1.0):
        rows = torch.cat([clean, clean + scale * noise])
        half, full = network.outputs(rows).double(), network_outputs(small_checkpoint, rows)
        errors.append(float(((half[1] - half[0]) - (full[1] - full[0])).abs().max()))
    assert errors[0] < 1e-6
    assert errors[1] < 5e-6
    assert errors[1] < errors[2] < 5e-3


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("snr", [5, 500])
def test_labels_move_by_little_at_any_noise(small_checkpoint: Checkpoint, recipe: str, snr: float) -> None:
    assert max(largest_shifts(small_checkpoint, snr, recipe)) < 0.02


@pytest.mark.parametrize("weights", ["demo", "random"])
@pytest.mark.parametrize("spectrum", ["real", "simulated"])
def test_labels_of_whole_spectra_move_by_little(
    spectrum: str, weights: str, small_checkpoint: Checkpoint, request: pytest.FixtureRequest
) -> None:
    checkpoint = load_checkpoint(weights_path("demo")) if weights == "demo" else small_checkpoint
    if spectrum == "real":
        batch = read_apstar(str(min(request.getfixturevalue("data").glob("apstar/*.fits"))))
        flux, error = batch.flux[:1], batch.error[:1]
    else:
        flux, error, _ = observed_arrays(1, seed=99, snr=100)
    (moved,) = label_shifts(checkpoint, flux, error, ["a"], 10)
    assert moved.max() < 0.02


def test_the_shift_sees_clean_spectra_that_are_rounded_whole(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, _ = largest_shifts(small_checkpoint, 500)
    monkeypatch.setattr(precision, "_in_halves", precision._rounded)
    wrong, _ = largest_shifts(small_checkpoint, 500)
    assert right < 1e-3
    assert wrong > 100 * right


def test_the_shift_sees_differences_that_are_rounded_to_bfloat16(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, right = largest_shifts(small_checkpoint, 500)
    monkeypatch.setattr(precision, "_rounded", lambda x: x.bfloat16().float())
    _, wrong = largest_shifts(small_checkpoint, 500)
    assert wrong > 4 * right


def test_the_shift_sees_other_noise(small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    normals = precision.normals
    monkeypatch.setattr(precision, "normals", lambda keys, *size: normals(keys + np.uint64(1), *size))
    clean, median = largest_shifts(small_checkpoint, 500)
    assert clean < 1e-3
    assert median > 0.1


def main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["precision", *map(str, words)])
    return precision.main()


def test_the_command_takes_files_or_stars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(monkeypatch, "--weights", "random")
    assert "files or --stars" in capsys.readouterr().err


@pytest.mark.parametrize(("shift", "status"), [(0.01, 0), (0.06, 1)])
def test_a_command_that_was_stopped_goes_on_where_it_was(
    shift: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flux = np.arange(3, dtype=np.float32)[:, None]
    monkeypatch.setattr("apnet_fast.simulate.observed_arrays", lambda n, seed, snr: (flux, flux, None))
    monkeypatch.setattr("apnet_fast.networks.random.random_checkpoint", lambda seed, network: None)
    done: list[int] = []

    def stops(checkpoint: object, flux: np.ndarray, *given: object) -> Iterator[np.ndarray]:
        for value in flux[:, 0]:
            if len(done) == 2:
                done.append(-1)
                raise KeyboardInterrupt
            done.append(int(value))
            yield np.full((2, 3), value * shift / 2)

    monkeypatch.setattr(precision, "label_shifts", stops)
    words = ("--stars", 3, "--snr", 20, "--weights", "random", "--json", tmp_path / "p.json")
    with pytest.raises(KeyboardInterrupt):
        main(monkeypatch, *words)
    assert not (tmp_path / "p.json").exists()
    assert main(monkeypatch, *words) == status
    assert done == [0, 1, -1, 2]
    assert main(monkeypatch, *words) == status
    assert len(done) == 4
    (found,) = json.loads((tmp_path / "p.json").read_text()).values()
    assert (found["spectra"], found["largest"], found["median_of_worst"]) == (3, shift, shift / 2)
    assert found["share_within"] == (1 if status == 0 else 0.667)
    assert "S/N 20" in capsys.readouterr().out
