"""The GPU benchmark walks through on a CPU, refuses without a GPU, and imports nothing that a GPU machine may lack."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines import tile_network
from apnet_fast.engines.triton import interpreted
from apnet_fast.kernels.toeplitz import ToeplitzFilter
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
    assert all(error < gpu.limit_of(name) for name, error in values["errors"].items())
    assert set(values["labels"]) == {"dr19", "astra-0.6"}
    assert values["machine"]["code_sha256"] == gpu.code_sha256()
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


@pytest.mark.slow
def test_clean_spectra_that_lose_the_low_halves_are_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their kernels are then wrong by a few 1e-4, which is right for draws."""
    if not interpreted():
        pytest.skip("kernels were compiled for a GPU in this process")
    options = SimpleNamespace(rehearse=True, device="cpu", draws=2, spectra=1, tuning=None)
    monkeypatch.setattr(gpu, "_RECIPES", ("dr19",))
    monkeypatch.setattr(gpu.Bench, "_label_shift", lambda bench, recipe: (1.0, 0.0))
    bench = gpu.Bench(options, gpu.Report())  # type: ignore[arg-type]
    assert bench.correct()
    right = tile_network.toeplitz_filter

    def without_low(*given: object) -> ToeplitzFilter:
        filter = right(*given)  # type: ignore[arg-type]
        return replace(filter, low=torch.zeros_like(filter.low))

    monkeypatch.setattr(tile_network, "toeplitz_filter", without_low)
    capsys.readouterr()
    assert not bench.correct()
    wrong = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert wrong
    assert all("conv" in line and "clean" in line for line in wrong)
    assert all(error < 1e-3 for error in bench.report.values["errors"].values())


@pytest.mark.parametrize(
    ("share", "worst", "right"),
    [(1.0, 0.019, True), (0.999, 0.0, True), (0.998, 0.0, False), (1.0, 0.021, False), (1.0, float("nan"), False)],
)
@pytest.mark.parametrize("recipe", ["dr19", "astra-0.6"])
def test_labels_beyond_the_science_tier_are_wrong(
    recipe: str, share: float, worst: float, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = object.__new__(gpu.Bench)
    bench.report = gpu.Report()
    monkeypatch.setattr(gpu.Bench, "_kernel_errors", lambda bench, recipe: {"pool": 1e-4, "pool clean": 1e-7})
    monkeypatch.setattr(gpu.Bench, "_label_shift", lambda bench, of: (share, worst) if of == recipe else (1.0, 0.0))
    assert bench.correct() == right
    assert bench.report.values["labels"][recipe]["share_within"] == share


class Fake:
    """Stands in for `Bench`, and notes which steps are taken."""

    architecture = "rehearsal"

    def __init__(
        self, output: Path, *parts: str, machine: str = "one", code: str = "a", right: bool = True, rate: float = 7
    ) -> None:
        self.options, self.report = SimpleNamespace(output=output, part=parts), gpu.Report()
        self.right, self.taken, self.rate = right, list[str](), rate
        self._machine = {"device": machine, "code_sha256": code, "date": str(id(self))}

    def machine(self) -> None:
        self.report.say("machine", "", self._machine)

    def correct(self) -> bool:
        self.taken.append("correct")
        return self.right

    def engine_rate(self) -> None:
        self.taken.append("engine_rate")
        self.report.say("engine/resident", "", self.rate)

    def __getattr__(self, part: str) -> Callable[[], bool]:
        def step() -> bool:
            self.taken.append(part)
            rates = {"reprocess": {"batch 64": {"spectra_per_second": 14}}, "rivals": {"one": 2, "other": 7}}
            self.report.say("kernels" if part == "engine_alone" else part, "", rates.get(part, len(self.taken)))
            return part != "reprocess"

        return step


def test_three_calls_make_one_file(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    first, second, third = Fake(output, "engine"), Fake(output, "reprocess"), Fake(output, "rivals")
    assert [gpu.measure(bench) for bench in (first, second, third)] == [0, 1, 0]  # type: ignore[arg-type]
    assert first.taken == ["correct", "engine_rate", "engine_alone"]
    assert second.taken == ["reprocess"]
    assert third.taken == ["rivals"]
    values = json.loads(output.read_text())
    assert {"machine", "engine", "kernels", "reprocess", "rivals", "ratio_to_best_rival"} == set(values)
    assert (values["reprocess"]["batch 64"]["of_resident"], values["ratio_to_best_rival"]) == (2, 1)


def test_the_engine_once_more_keeps_the_other_parts_beside_it(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    for part in gpu.PARTS:
        gpu.measure(Fake(output, part))  # type: ignore[arg-type]
    again = Fake(output, "engine", rate=28)
    assert gpu.measure(again) == 0  # type: ignore[arg-type]
    assert again.taken == ["correct", "engine_rate", "engine_alone"]
    values = json.loads(output.read_text())
    assert (values["reprocess"]["batch 64"]["of_resident"], values["ratio_to_best_rival"]) == (0.5, 4)
    assert values["machine"]["date"] == str(id(again))


def test_other_code_is_checked_and_timed_anew(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    for part in ("engine", "reprocess"):
        gpu.measure(Fake(output, part))  # type: ignore[arg-type]
    other = Fake(output, "rivals", code="b")
    assert gpu.measure(other) == 0  # type: ignore[arg-type]
    assert other.taken == ["correct", "engine_rate", "rivals"]
    assert "reprocess" not in json.loads(output.read_text())


def test_the_hash_follows_kernels_and_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kernels/conv.py", "engines/triton.py", "engines/tile_network.py", "engines/tile_queue.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(gpu.apnet_fast, "__file__", str(tmp_path / "__init__.py"))
    hashes = [gpu.code_sha256()]
    for name in ("kernels/conv.py", "engines/tile_network.py"):
        (tmp_path / name).write_text("2")
        hashes.append(gpu.code_sha256())
    assert len({*hashes, gpu.code_sha256()}) == 3


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
