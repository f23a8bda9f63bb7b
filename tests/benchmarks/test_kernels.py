"""The command prints what was compiled and predicted, and fails if anything speaks against it; nothing is compiled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from typer.testing import CliRunner

from apnet_fast.kernels import aot
from apnet_fast.kernels.aot import Compiled, Launch
from benchmarks import kernels

SOUND = Compiled("conv 64-64", "sm90", "256x128x64", 180, 0, 0, 196_608, 232_448, 8, "HGMMA", 908)


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(kernels.app, list(words))
    return result.exit_code, result.output


@pytest.mark.parametrize(("stack", "status"), [(0, 0), (16, 1)])
def test_a_spill_fails(stack: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Compiled(**{**vars(SOUND), "stack": stack})
    monkeypatch.setattr(kernels, "compile_shipped", lambda tables: iter([("sm90", found)]))
    code, said = invoke("--compile-only", "--json")
    assert code == status
    assert bool(json.loads(said)["faults"]) == bool(stack)


def test_tables_are_chosen_and_unknown_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_for: list[str] = []

    def compile_launches(wanted: list[tuple[Launch, str]]) -> Iterator[Compiled]:
        compiled_for.extend(architecture for _, architecture in wanted)
        return iter([SOUND] * len(wanted))

    monkeypatch.setattr(aot, "launches", lambda tuning: [Launch("conv 64-64", None, {}, {}, {}, 1)])
    monkeypatch.setattr(aot, "compile_launches", compile_launches)
    assert invoke("--compile-only", "--table", "sm90", "--table", "sm80")[0] == 0
    assert sorted(compiled_for) == ["sm80", "sm90"]
    compiled_for.clear()
    assert invoke("--compile-only")[0] == 0
    assert sorted(compiled_for) == sorted(["sm80", "sm90", "sm100", *aot.ARCHITECTURES])
    code, said = invoke("--compile-only", "--table", "sm75")
    assert code == 2
    assert "no table sm75" in said


def test_without_a_gpu_nothing_is_timed() -> None:
    assert invoke()[0] == 2


def test_the_model_says_that_it_predicts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(kernels, "_RESULTS", tmp_path)
    constants = {"BLOCK_M": 256, "BLOCK_N": 128, "BLOCK_K": 64, "S": 2, "STEPS": 31, "SEGMENT": 4320, "LENGTH": 4288}
    launch = Launch("conv 64-64", None, {}, {**constants, "C_IN": 64, "C_OUT": 64}, {"num_warps": 8}, 262)
    compiled_for: list[str] = []

    def compile_launches(wanted: list[tuple[Launch, str]]) -> Iterator[Compiled]:
        compiled_for.extend(architecture for _, architecture in wanted)
        return iter([SOUND] * len(wanted))

    monkeypatch.setattr(aot, "launches", lambda tuning: [launch])
    monkeypatch.setattr(aot, "compile_launches", compile_launches)

    def rows(said: str) -> list[list[str]]:
        return [line.split() for line in said.splitlines() if line.startswith("conv 64-64")]

    code, said = invoke("--model")
    assert code == 0
    # One row for each table with a chip; the changes are the H200's.
    assert compiled_for == ["sm90", "sm80", "sm100", *["sm90"] * 4]
    assert ["no" in row for row in rows(said)] == [True] * 3
    assert len({tuple(row) for row in rows(said)}) == 3
    assert [line.split(",")[0] for line in said.splitlines() if line.startswith("table")] == [
        "table sm90",
        "table sm80",
        "table sm100",
    ]
    assert said.count("predicted, not measured") == 4
    assert said.count("of the data sheet, not measured") == 2
    assert said.count("ceilings measured: 788 TFLOP/s") == 1
    found = tmp_path / "gpu-sm80.json"
    found.write_text('{"machine": {"architecture": "sm80"}, "kernels": {"conv 64-64": {"us": 123.4}}}')
    for words in ((), ("--measured", str(found))):
        _, said = invoke("--model", *words)
        assert ["123.4" in row for row in rows(said)] == [False, True, False]
    for row in rows(said):
        for number in (SOUND.registers, SOUND.shared, SOUND.matrix, SOUND.instructions - SOUND.matrix):
            assert str(number) in row
    assert [line[:2] for line in said.splitlines()[-4:]] == ["be", "1.", "2.", "3."]
