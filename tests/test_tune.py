"""Tuning: candidates, the choice among them, and the table it writes; timers are faked, the interpreter computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast import tune as tuning
from apnet_fast.engines import tile_network
from apnet_fast.engines.triton import TritonEngine
from apnet_fast.kernels import naive, toeplitz
from apnet_fast.kernels.pool import PoolConfig
from apnet_fast.kernels.toeplitz import ConvConfig
from apnet_fast.kernels.tuning import Tuning, load_tuning, table_for
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support.errors import UsageError
from tests.engines.test_triton import small_tiles

SHORT = 259
CPU = torch.device("cpu")
SLOW = ConvConfig(4, 32, 128, 64, 8, 3)
FAST = ConvConfig(8, 32, 128, 64, 8, 3)


def fake_times(*seconds: float) -> Callable[[Callable[[int], object]], float]:
    """Return a timer that runs the work once and returns the given seconds in turn."""
    said = iter(seconds)

    def measure(work: Callable[[int], object]) -> float:
        work(1)
        return next(said)

    return measure


def best(*candidates: ConvConfig, times: tuple[float, ...]) -> tuple[ConvConfig, float]:
    return tuning.best_conv((16, 32, 15, 0), candidates, 1, CPU, fake_times(*times), length=100)


def test_the_fastest_candidate_wins() -> None:
    assert best(SLOW, FAST, times=(2.0, 1.0)) == (FAST, 1.0)
    assert best(FAST, SLOW, times=(1.0, 2.0)) == (FAST, 1.0)


def test_a_wrong_candidate_is_never_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = toeplitz.toeplitz_filter

    def wrong_for_fast(weight: torch.Tensor, *given: object) -> object:
        return right(weight * (1.1 if given[2] == FAST else 1), *given)  # type: ignore[arg-type]

    monkeypatch.setattr(toeplitz, "toeplitz_filter", wrong_for_fast)
    assert best(SLOW, FAST, times=(2.0,)) == (SLOW, 2.0)


def test_a_candidate_that_cannot_be_made_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    impossible = ConvConfig(4, 33, 128, 64, 8, 3)
    assert best(impossible, SLOW, times=(2.0,)) == (SLOW, 2.0)
    assert "block_m=33" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="no block computes"):
        best(impossible, times=())


def test_candidates_fit_the_kernel() -> None:
    for _, c_out, _, _ in tuning.CONVS:
        candidates = list(tuning.conv_candidates(c_out))
        assert len(candidates) >= 4
        assert all(config.positions * c_out % config.block_n == 0 for config in candidates)
        assert {config.carveout for config in candidates} == {0, 72, 100}


def other_tile(c_out: int) -> list[ConvConfig]:
    return [ConvConfig(4, 16, 4 * c_out, 32, 4, 2)]


@pytest.mark.parametrize("others_are_faster", [True, False])
def test_a_table_is_made_saved_and_read(others_are_faster: bool, tmp_path: Path) -> None:
    base = replace(table_for("generic"), group_rows=1)
    said: list[str] = []
    times = itertools.cycle([2e-3, 1e-3] if others_are_faster else [1e-3, 2e-3])

    def measure(work: Callable[[int], object]) -> float:
        work(0)
        return next(times)

    table = tuning.tune(base, CPU, measure, said.append, other_tile, length=60)
    assert len(said) == len(table.convs) == 8
    for shape, config in table.convs.items():
        assert [config] == (other_tile(int(shape.split("-")[1])) if others_are_faster else [base.convs[shape]])
    table.save(tmp_path / "t.json")
    assert load_tuning(tmp_path / "t.json") == table
    assert (table.sha256 != base.sha256) == others_are_faster


def test_the_tables_own_tile_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    base, tried = table_for("sm90"), list[list[ConvConfig]]()

    def noted(shape: object, candidates: Iterable[ConvConfig], *given: object) -> tuple[ConvConfig, float]:
        tried.append(list(candidates))
        return tried[-1][0], 1.0

    monkeypatch.setattr(tuning, "best_conv", noted)
    assert tuning.tune(base, CPU, lambda work: 1.0, lambda line: None) == base
    for configs in tried:
        assert len(configs) == len(set(configs)) > 4


def tuned(
    checkpoint: Checkpoint, seconds: dict[object, float], *candidates: object, name: str = "pool"
) -> tuple[Tuning, list[str]]:
    """Tune one entry over a small engine, with faked times of each value."""
    base, said = small_tiles(group_rows=8), list[str]()
    current: list[object] = []
    right = TritonEngine.__init__

    def noted(engine: TritonEngine, *given: Any, tuning: Tuning, **options: Any) -> None:
        current.append(getattr(tuning, name))
        right(engine, *given, tuning=tuning, **options)

    def measure(work: Callable[[int], object]) -> float:
        return seconds[current[-1]]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TritonEngine, "__init__", noted)
        patched.setattr(tuning, "_CHECKED", 1)
        choice = tuning.Choice(name, "dr19", candidates)
        return tuning.best_engine(base, "cpu", measure, said.append, [choice], checkpoint, SHORT, 3), said


OWN, OTHER = small_tiles().pool, PoolConfig(64, 4)


@pytest.mark.parametrize(("seconds", "best"), [((2.0, 1.0), OTHER), ((1.0, 2.0), OWN)])
def test_the_fastest_entry_of_the_table_wins(
    seconds: tuple[float, float], best: PoolConfig, small_checkpoint: Checkpoint
) -> None:
    table, said = tuned(small_checkpoint, dict(zip((OWN, OTHER), seconds, strict=True)), OWN, OTHER)
    assert table == small_tiles(group_rows=8, pool=best)
    # Its own was tried once.
    assert len(said) == 2


def test_an_entry_with_wrong_labels_or_that_cannot_be_made_is_passed_over(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, impossible = tile_network.pool, PoolConfig(33, 4)

    def wrong_for_other(x: object, out: torch.Tensor, length: int, pooled: int, config: PoolConfig, *low: Any) -> None:
        right(x, out, length, pooled, config, *low)  # type: ignore[arg-type]
        if config == OTHER:
            out *= 1.01

    monkeypatch.setattr(tile_network, "pool", wrong_for_other)
    table, said = tuned(small_checkpoint, {OWN: 2.0, OTHER: 1.0, impossible: 1.0}, OTHER, impossible)
    assert table.pool == OWN
    assert [line for line in said if "wrong labels" in line] == [f"  pool {OTHER}: wrong labels"]
    assert any(line.startswith(f"  pool {impossible}: ") for line in said)


def test_what_is_tried_in_the_engine_is_an_entry_of_its_kind() -> None:
    base, chosen = table_for("sm90"), tuning.choices()
    assert {choice.name for choice in chosen} == {"group_rows", "tile_rows", "stem", "clean", "pool", "joint"}
    for choice in chosen:
        own = getattr(base, choice.name)
        assert all(type(value) is type(own) for value in choice.candidates)
        assert len(set(choice.candidates)) == len(choice.candidates) > 2
        assert (RECIPES[choice.recipe].percentile_over == "spectrum") == (choice.name == "joint")


def test_the_twin_is_in_float64_which_no_gpu_shortens(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[torch.dtype] = []
    right = naive.naive_sums

    def watched(x: torch.Tensor, weight: torch.Tensor, *given: object) -> torch.Tensor:
        kinds.append(weight.dtype)
        return right(x, weight, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(naive, "naive_sums", watched)
    assert best(SLOW, times=(2.0,)) == (SLOW, 2.0)
    assert kinds == [torch.float64]


def test_everything_is_measured_on_the_device_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels launch on the current device, whatever their arguments lie on."""
    current, found = ["cuda:0"], []

    @contextmanager
    def device(which: torch.device) -> Iterator[None]:
        current.append(str(which))
        yield
        current.pop()

    def note(table: Tuning, *given: object) -> Tuning:
        found.append((current[-1], *(str(x) for x in given if isinstance(x, str | torch.device))))
        return table

    for name, fake in {
        "device": device,
        "device_count": lambda: 2,
        "get_device_name": lambda device: "a card",
        "get_device_properties": lambda device: SimpleNamespace(major=9, minor=0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(tuning, "tune", note)
    monkeypatch.setattr(tuning, "best_engine", note)
    tuning.tune_command(tmp_path / "t.json", "cuda:1")
    assert found == [("cuda:1", "cuda:1")] * 2
    assert load_tuning(tmp_path / "t.json").convs == table_for("sm90").convs


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such GPU.*expected a machine with a GPU\. Remedy: give the command on"):
        tuning.tune_command(tmp_path / "t.json")


@pytest.mark.parametrize("device", ["cpu", "cuda:0,cuda:1"])
def test_what_is_not_one_gpu_cannot_be_tuned(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APNET_FAST_DEVICE", device)
    with pytest.raises(UsageError, match=f"tune measures one GPU; got {device}; expected cuda:0, .* Remedy: "):
        tuning.tune_command(tmp_path / "t.json")
