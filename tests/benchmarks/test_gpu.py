"""The GPU benchmark walks through on a CPU, refuses without a GPU, and imports nothing that a GPU machine may lack."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from benchmarks import gpu

ROOT = Path(__file__).parents[2]


def benchmark(*words: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "benchmarks.gpu"]
    return subprocess.run([sys.executable, *start, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_rehearsal_reaches_the_end(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    done = benchmark("--rehearse", "--output", str(output))
    assert done.returncode == 0, done.stderr
    values = json.loads(output.read_text())
    assert {"machine", "errors", "labels", "ceilings", "kernels", "engine", "reprocess", "rivals"} <= set(values)
    assert all(error < 1e-3 for error in values["errors"].values())
    # Both ways to a percentile, and every kernel of theirs.
    assert {name.split(":")[0] for name in values["errors"]} == {"dr19", "astra-0.6"}
    assert {"joint limit", "stem joint", "stem", "stem clean", "pool", "conv 4-8", "conv clean 4-8"} < set(
        values["kernels"]
    )
    assert list(values["reprocess"]) == ["batch 64", "batch 480", "batch 4800"]
    for run in values["reprocess"].values():
        assert run["of_resident"] == run["spectra_per_second"] / values["engine"]["resident"]
        assert run["spectra"] == 10


@pytest.mark.slow
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


class Fake:
    """Stands in for `Bench`, and notes which steps are taken."""

    architecture = "rehearsal"

    def __init__(self, output: Path, *parts: str, machine: str = "one", right: bool = True) -> None:
        self.options, self.report = SimpleNamespace(output=output, part=parts), gpu.Report()
        self.right, self.taken, self._machine = right, list[str](), machine

    def machine(self) -> None:
        self.report.say("machine", "", {"device": self._machine, "date": str(len(self.options.part))})

    def correct(self) -> bool:
        self.taken.append("correct")
        return self.right

    def engine_rate(self) -> None:
        self.taken.append("engine_rate")
        self.report.say("engine/resident", "", 7)

    def __getattr__(self, part: str) -> Callable[[], bool]:
        def step() -> bool:
            self.taken.append(part)
            self.report.say("kernels" if part == "engine_alone" else part, "", len(self.taken))
            return part != "reprocess"

        return step


def test_three_calls_make_one_file(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    first, second, third = Fake(output, "engine"), Fake(output, "reprocess"), Fake(output, "rivals")
    assert [gpu.measure(bench) for bench in (first, second, third)] == [0, 1, 0]  # type: ignore[arg-type]
    assert first.taken == ["correct", "engine_rate", "engine_alone"]
    assert second.taken == ["reprocess"]
    assert third.taken == ["rivals"]
    assert {"machine", "engine", "kernels", "reprocess", "rivals"} == set(json.loads(output.read_text()))


def test_another_machine_is_checked_first(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    assert gpu.measure(Fake(output, "engine")) == 0  # type: ignore[arg-type]
    other = Fake(output, "rivals", machine="another")
    assert gpu.measure(other) == 0  # type: ignore[arg-type]
    assert other.taken == ["correct", "engine_rate", "rivals"]
    assert json.loads(output.read_text())["machine"]["device"] == "another"
    wrong = Fake(output, "rivals", machine="one", right=False)
    assert gpu.measure(wrong) == 1  # type: ignore[arg-type]
    assert wrong.taken == ["correct"]
    assert json.loads(output.read_text())["machine"]["device"] == "another"


def test_runs_that_cannot_be_made_are_said_not_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = object.__new__(gpu.Bench)
    bench.report = gpu.Report({"engine": {"resident": 1}})
    bench.options = SimpleNamespace(rehearse=True)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "benchmarks.inputs", None)
    assert not bench.reprocess()
    assert "not measured" in capsys.readouterr().err
    assert "reprocess" not in bench.report.values


def test_everything_runs_on_the_device_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    current, seen = ["cuda:0"], []

    @contextmanager
    def device(which: torch.device) -> Iterator[None]:
        current.append(str(which))
        yield
        current.pop()

    def measure(bench: object) -> int:
        seen.append(current[-1])
        return 0

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(gpu, "Bench", lambda options, report: seen.append(current[-1]))
    monkeypatch.setattr(gpu, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cuda:1"])
    assert gpu.main() == 0
    assert seen == ["cuda:1", "cuda:1"]


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
