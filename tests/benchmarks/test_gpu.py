"""The GPU benchmark walks through on a CPU, refuses without a GPU, and imports nothing that a GPU machine may lack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

ROOT = Path(__file__).parents[2]


def benchmark(*words: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "benchmarks.gpu"]
    return subprocess.run([sys.executable, *start, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_rehearsal_reaches_the_end(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    done = benchmark("--rehearse", "--output", str(output))
    assert done.returncode == 0, done.stderr
    values = json.loads(output.read_text())
    assert {"machine", "errors", "labels", "ceilings", "kernels", "engine", "rivals"} <= set(values)
    assert all(error < 1e-3 for error in values["errors"].values())


def test_a_wrong_kernel_is_not_timed(tmp_path: Path) -> None:
    code = (
        "import sys, os; os.environ['TRITON_INTERPRET'] = '1'\n"
        "from apnet_fast.engines import tile_network\n"
        "right = tile_network.toeplitz_filter\n"
        "tile_network.toeplitz_filter = lambda weight, *given: right(weight * 1.01, *given)\n"
        "from benchmarks.gpu import main\n"
        "sys.exit(main())"
    )
    output = tmp_path / "r.json"
    done = benchmark("--rehearse", "--output", str(output), code=code)
    assert done.returncode == 1
    assert "nothing will be timed" in done.stderr
    assert "spectra/s" not in done.stdout
    assert not output.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_nothing_is_claimed() -> None:
    done = benchmark()
    assert done.returncode == 2
    assert "nothing was timed" in done.stderr


def test_it_imports_nothing_beyond_what_it_says() -> None:
    code = (
        "import sys\n"
        "for name in ('fitsio', 'pyarrow', 'typer', 'rich', 'yaml', 'astropy'): sys.modules[name] = None\n"
        "import benchmarks.gpu, benchmarks.rivals, apnet_fast.engines.triton, apnet_fast.networks.random\n"
    )
    done = benchmark(code=code)
    assert done.returncode == 0, done.stderr
