"""Every table of a chip compiles for it, with no spills, in its memory, on its tensor cores.

`make test-kernels` compiles the generic table for every architecture as well, which takes two thirds of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

ROOT = Path(__file__).parents[2]
TABLES = ("sm80", "sm90", "sm100")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What `python -m benchmarks.kernels --compile-only` finds for the tables of chips, with an empty cache."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.kernels", "--compile-only", "--json"]
    command += [word for table in TABLES for word in ("--table", table)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_nothing_speaks_against_any_of_them(compiled: list[dict]) -> None:
    assert [(row["table"], row["label"], row["faults"]) for row in compiled if row["faults"]] == []


@pytest.mark.slow
def test_every_kernel_of_every_table_is_there(compiled: list[dict]) -> None:
    from apnet_fast.kernels.tuning import GENERIC, shipped

    found = {(row["table"], row["architecture"]) for row in compiled}
    assert found == {(table, table) for table in TABLES} == {(name, name) for name in shipped() if name != GENERIC}
    for pair in found:
        labels = [row["label"] for row in compiled if (row["table"], row["architecture"]) == pair]
        assert len(labels) == 23
        assert {"clean-up", "stem clean", "stem", "joint limit", "stem joint", "pool"} < set(labels)


@pytest.mark.slow
def test_convs_use_the_matrix_instructions_of_their_chip(compiled: list[dict]) -> None:
    wanted = {"sm80": "HMMA", "sm90": "HGMMA", "sm100": "UTCHMMA"}
    for row in compiled:
        if row["label"].startswith("conv"):
            assert row["instruction"].startswith(wanted[row["architecture"]])
        assert row["matrix"] < row["instructions"] < 50_000


def test_no_launch_leaves_the_fusion_of_products_and_sums_to_the_default() -> None:
    """Versions of Triton differ in it, and labels would with them."""
    from apnet_fast.kernels.aot import launches
    from apnet_fast.kernels.tuning import shipped

    for tuning in shipped().values():
        fused = {launch.label: launch.options.get("enable_fp_fusion") for launch in launches(tuning)}
        assert len(fused) == 23
        assert set(fused.values()) == {True}


def test_the_gate_sees_spills_memory_and_missing_instructions() -> None:
    from apnet_fast.kernels.aot import Compiled

    sound = Compiled("conv 64-64", "sm90", "", 128, 0, 0, 98304, 232448, 4, "HGMMA", 900)
    assert sound.faults == []
    for change in ({"stack": 16}, {"local": 4}, {"shared": 300_000}, {"matrix": 0}):
        assert len(replace(sound, **change).faults) == 1
    assert replace(sound, label="pool", matrix=0).faults == []
