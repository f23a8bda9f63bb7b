"""`python -m benchmarks.gpu`: is the Triton engine right on this GPU, and how fast is it?

Correctness first: every kernel against its twin, then labels of fp16 against fp32. If any is wrong, nothing is timed.
Three parts follow on each other, or are called one by one with --part, each within ten minutes, into one file:

    engine      the ceilings of the machine (matrix product, copy), each kernel as a fraction of them, the whole engine
    reprocess   whole runs, files to catalogues, beside the engine alone; needs apnet_fast with all it depends on
    rivals      the same recipe by other means, at equal semantics, in the same call

The other two need numpy, torch, triton, numba and safetensors, nothing else.

`--rehearse` walks through everything on a CPU: a tiny network in Triton's interpreter, and runs without an engine. Its
times mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import apnet_fast
from apnet_fast.recipes import RECIPES
from apnet_fast.support.grid import CHIP_GAPS, PIXELS

if TYPE_CHECKING:
    from apnet_fast.engines.tile_network import TileNetwork

RESULTS = Path(__file__).parent / "results"
# Relative errors of kernels against their twins: what is of clean spectra keeps 22 bits.
_KERNEL_TOLERANCE, _CLEAN_TOLERANCE = 1e-3, 5e-6
# Science tier: reduced precision moves labels by less than this share of their raw error, for that share of spectra.
_SHIFT, _SHARE = 0.05, 0.999
# No label of the made-up spectra moves by more.
_LARGEST_SHIFT = 0.02
PARTS = ("engine", "reprocess", "rivals")
# What the first part writes.
_OF_THE_ENGINE = ("errors", "labels", "engine", "ceilings", "kernels")
# The kernels of both ways to a percentile: of each draw, and of all draws of a spectrum.
_RECIPES = ("dr19", "astra-0.6")
# Spectra of a batch that are tried in whole runs, which keep as many under way as the engine wants, whatever they are.
_BATCHES = (64, 480, 4800)


@dataclass
class Report:
    """Everything measured, as it will be written; lines are printed as they come."""

    values: dict[str, Any] = field(default_factory=dict)

    def say(self, key: str, line: str, value: Any) -> None:
        """Print a line and keep its value under a dotted key."""
        print(line, flush=True)
        place = self.values
        *path, last = key.split("/")
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value


def main() -> int:
    """Return exit status 0; 1 if something is wrong or could not be measured; 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--spectra", type=int, default=1000, help="spectra of the label comparison")
    parser.add_argument("--files", type=int, default=20_000, help="files of the whole runs, five spectra each")
    parser.add_argument("--folder", type=Path, help="folder for these files, on a local disk; default a temporary one")
    parser.add_argument("--output", type=Path, help="JSON to write; default benchmarks/results/gpu-<architecture>.json")
    parser.add_argument("--tuning", type=Path, help="tuning table in place of the shipped one")
    parser.add_argument("--skip-compile", action="store_true", help="leave out torch.compile, which takes minutes")
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"
        options.device, options.draws, options.spectra, options.files = "cpu", 2, 3, 2
    import torch

    from apnet_fast.engines.tile_queue import on

    if not options.rehearse and not torch.cuda.is_available():
        print("no GPU is visible: nothing was timed (--rehearse walks through without one)", file=sys.stderr)
        return 2
    # Kernels launch on the current device.
    with on(torch.device(options.device)):
        return measure(Bench(options, Report()))


def measure(bench: Bench) -> int:
    """Run the parts that were asked for, each into the file as soon as it is over; return the exit status."""
    options, report = bench.options, bench.report
    output = options.output or RESULTS / f"gpu-{bench.architecture}.json"
    bench.machine()
    known = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    if same_machine(known.get("machine"), report.values["machine"]):
        again = _OF_THE_ENGINE if "engine" in options.part else ()
        report.values.update((key, value) for key, value in known.items() if key not in (*again, "machine"))
    # If it is there, another part has checked and timed the engine here.
    if "engine" not in report.values:
        if not bench.correct():
            print("WRONG: nothing will be timed", file=sys.stderr)
            return 1
        bench.engine_rate()
    steps = {"engine": bench.engine_alone, "reprocess": bench.reprocess, "rivals": bench.rivals}
    good = True
    for part in options.part:
        good &= steps[part]()
        compare_with_engine(report.values)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report.values, indent=2) + "\n", encoding="utf-8")
    if ratio := report.values.get("ratio_to_best_rival"):
        print(f"engine on the device / best rival: {ratio:.2f} x")
    print(output)
    return 0 if good else 1


def compare_with_engine(values: dict[str, Any]) -> None:
    """Set what whole runs and rivals are beside the engine, which may have been timed anew since they were."""
    resident = values["engine"]["resident"]
    for run in values.get("reprocess", {}).values():
        run["of_resident"] = run["spectra_per_second"] / resident
    if rivals := values.get("rivals"):
        values["ratio_to_best_rival"] = resident / max(rivals.values())


def limit_of(name: str) -> float:
    """Return the relative error that a kernel of this name may have."""
    return _CLEAN_TOLERANCE if "clean" in name else _KERNEL_TOLERANCE


def same_machine(one: dict[str, Any] | None, other: dict[str, Any]) -> bool:
    """Return whether two descriptions of machine and code differ by their dates at most."""
    return one is not None and {**one, "date": ""} == {**other, "date": ""}


def code_sha256() -> str:
    """Hash of the code that computes: the kernels, and what drives them."""
    package = Path(apnet_fast.__file__).parent
    engine = [package / "engines" / name for name in ("triton.py", "tile_network.py", "tile_queue.py")]
    content = hashlib.sha256()
    for path in (*sorted((package / "kernels").glob("*.py")), *engine):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


class Bench:
    """The steps of the benchmark on one device."""

    def __init__(self, options: argparse.Namespace, report: Report) -> None:
        import torch

        from apnet_fast.engines.triton import TritonEngine, architecture_of
        from apnet_fast.kernels.timing import seconds
        from apnet_fast.kernels.tuning import load_tuning, table_for
        from apnet_fast.networks.random import random_checkpoint
        from apnet_fast.networks.v3 import ArchitectureV3

        self.options, self.report, self.torch = options, report, torch
        self.device, self.recipe = torch.device(options.device), RECIPES["dr19"]
        self.pixels = 1027 if options.rehearse else PIXELS
        self.architecture = "rehearsal" if options.rehearse else architecture_of(options.device)
        tuning = load_tuning(options.tuning) if options.tuning else table_for(self.architecture)
        small = ArchitectureV3(dim_mults=(1, 2), adapt_pool_output_dim=16, num_linear=2, linear_dim=8)
        if options.rehearse:
            tuning = replace(tuning, group_rows=3, tile_rows=6)
        self.tuning = tuning
        self.checkpoint = random_checkpoint(0, small if options.rehearse else ArchitectureV3())
        self.engine = TritonEngine(self.checkpoint, self.recipe, device=options.device, tuning=tuning)
        # A rehearsal does everything once: its times mean nothing, and the interpreter is slow.
        repeats, warm_up = (1, 0) if options.rehearse else (15, 3)
        self.time: Callable[[Callable[[int], object]], float] = lambda work: seconds(
            work, self.device, repeats, warm_up
        )

    def machine(self) -> None:
        """What was measured, on what, and when."""
        import triton

        torch = self.torch
        name = platform.processor() if self.options.rehearse else torch.cuda.get_device_name(self.device)
        machine = {
            "apnet_fast": apnet_fast.__version__,
            "code_sha256": code_sha256(),
            "draws": self.options.draws,
            "device": name,
            "architecture": self.architecture,
            "torch": torch.__version__,
            "triton": triton.__version__,
            "cuda": torch.version.cuda,
            "python": platform.python_version(),
            "tuning": self.tuning.name,
            "tuning_sha256": self.tuning.sha256,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.report.say("machine", " ".join(f"{key}={value}" for key, value in machine.items()), machine)

    def correct(self) -> bool:
        """Kernels against their twins, and fp16 labels against fp32; false if any is beyond its limit."""
        good = True
        for recipe in _RECIPES:
            for name, error in self._kernel_errors(recipe).items():
                right = error < limit_of(name)
                good &= right
                verdict = "ok" if right else f"WRONG, {limit_of(name):g} is allowed"
                self.report.say(f"errors/{recipe}: {name}", f"{recipe:10} {name:24} {error:8.2e} {verdict}", error)
        for recipe in _RECIPES:
            share, worst = self._label_shift(recipe)
            right = share >= _SHARE and worst < _LARGEST_SHIFT
            good &= right
            verdict = "ok" if right else f"WRONG, {100 * _SHARE} % within and {_LARGEST_SHIFT} at worst are allowed"
            line = (
                f"{recipe:10} labels: {100 * share:.2f} % of spectra within {_SHIFT} raw sigma of fp32,"
                f" worst {worst:.3g}: {verdict}"
            )
            self.report.say(f"labels/{recipe}", line, {"share_within": share, "worst": worst, "limit": _SHIFT})
        return good

    def _kernel_errors(self, recipe: str) -> dict[str, float]:
        """Return the relative error of each kernel's output against its twin, on the kernel's own input."""
        from apnet_fast.networks.folding import fold_v3
        from apnet_fast.recipes.noise import noise_keys
        from benchmarks.gpu_kernels import kernel_errors

        network = self._network(recipe)
        flux, error = spectra(network.spectra, self.pixels)
        keys = noise_keys(0, map(str, range(network.spectra)))
        return kernel_errors(network, fold_v3(self.checkpoint, self.pixels), RECIPES[recipe], flux, error, keys)

    def _network(self, recipe: str) -> TileNetwork:
        from apnet_fast.engines.tile_network import TileNetwork

        given = self.checkpoint, RECIPES[recipe], self.tuning, self.device, self.pixels, self.options.draws
        return TileNetwork(*given)

    def _label_shift(self, recipe: str) -> tuple[float, float]:
        """Share of spectra whose labels fp16 moves by less than `_SHIFT` of their raw error, and the largest move."""
        from apnet_fast.engines import ReferenceEngine
        from apnet_fast.engines.triton import TritonEngine
        from apnet_fast.recipes.noise import noise_keys

        n = self.options.spectra
        flux, error = spectra(n, self.pixels)
        keys = noise_keys(0, map(str, range(n)))
        given: dict[str, Any] = {"device": self.options.device}
        fast = TritonEngine(self.checkpoint, RECIPES[recipe], tuning=self.tuning, **given)
        got = fast.predict(flux, error, keys, self.options.draws)
        strict = ReferenceEngine(self.checkpoint, RECIPES[recipe], **given)
        truth = strict.predict(flux, error, keys, self.options.draws)
        sigma = truth.draws.std(axis=1, ddof=1)
        moved = np.abs(np.median(got.draws, axis=1) - np.median(truth.draws, axis=1)) / sigma
        return float((moved.max(axis=1) < _SHIFT).mean()), float(moved.max())

    def engine_alone(self) -> bool:
        """Measure the ceilings of the machine, and each kernel as a fraction of them."""
        self.ceilings()
        self.kernels()
        return True

    def ceilings(self) -> None:
        """Measure the fastest fp16 matrix product and copy of this device, on random data."""
        torch, size = self.torch, 256 if self.options.rehearse else 8192
        a, b = (torch.randn(size, size, device=self.device).half() for _ in range(2))
        rate = 2 * size**3 / self.time(lambda i: a @ b) / 1e12
        self.report.say("ceilings/matmul_tflops", f"ceiling: fp16 matmul {size}^3 {rate:8.1f} TFLOP/s", rate)
        source = torch.randn(size, size * 4, device=self.device)
        target = torch.empty_like(source)
        moved = 2 * source.numel() * 4 / self.time(lambda i: target.copy_(source)) / 1e9
        self.report.say("ceilings/copy_gbs", f"ceiling: copy {moved:8.0f} GB/s", moved)

    def kernels(self) -> None:
        """Time each kernel by graph replays: useful arithmetic and least traffic as fractions of the ceilings."""
        from apnet_fast.kernels.timing import kernel_seconds
        from apnet_fast.recipes.noise import noise_keys
        from benchmarks.gpu_kernels import kernel_runs, tile_of

        torch, ceilings = self.torch, self.report.values["ceilings"]
        print(f"{'kernel':24} {'us':>9} {'TFLOP/s':>8} {'GB/s':>7} {'of matmul':>9} {'of copy':>8} {'us/spectrum':>12}")
        measured: set[str] = set()
        for recipe in _RECIPES:
            network = self._network(recipe)
            keys = noise_keys(0, map(str, range(network.spectra)))
            tile = tile_of(network, *spectra(network.spectra, self.pixels), keys)
            with torch.inference_mode():
                network.compute(tile.flux, tile.error, tile.keys, tile.outputs, network.spectra)
                for run in kernel_runs(network, tile):
                    if run.name in measured:
                        continue
                    measured.add(run.name)
                    taken = kernel_seconds(run.work, self.device, 1 if self.options.rehearse else 15)
                    tflops, gbs = run.operations / taken / 1e12, run.traffic / taken / 1e9
                    value = {
                        "us": taken * 1e6,
                        "tflops": tflops,
                        "gbs": gbs,
                        "of_matmul": tflops / ceilings["matmul_tflops"],
                        "of_copy": gbs / ceilings["copy_gbs"],
                        "us_per_spectrum": taken * 1e6 * run.launches / network.spectra,
                    }
                    line = (
                        f"{run.name:24} {value['us']:9.1f} {tflops:8.1f} {gbs:7.0f} {value['of_matmul']:9.2f}"
                        f" {value['of_copy']:8.2f} {value['us_per_spectrum']:12.2f}"
                    )
                    self.report.say(f"kernels/{run.name}", line, value)

    def engine_rate(self) -> None:
        """Measure spectra per second: on the device alone, and from and to arrays on the host."""
        resident = 1 / self.engine.seconds_per_spectrum(self.pixels, self.options.draws, self.time)
        self.report.say("engine/resident", f"engine, on the device: {resident:10.1f} spectra/s", resident)
        n = 2 if self.options.rehearse else 4000
        flux, error = spectra(n, self.pixels)
        keys = np.arange(n, dtype=np.uint64)
        taken = self.time(lambda i: self.engine.predict(flux, error, keys, self.options.draws))
        self.report.say("engine/host", f"engine, host to host:  {n / taken:10.1f} spectra/s", n / taken)

    def reprocess(self) -> bool:
        """Measure whole runs by batch, beside the engine alone; return false if they cannot be measured."""
        try:
            from benchmarks.inputs import SPECTRA_OF_A_STAR, linked_tree
            from benchmarks.tiers.end_to_end import timed_run
        except ImportError as absent:
            print(f"reprocess: not measured, {absent}; install apnet_fast with all it depends on", file=sys.stderr)
            return False
        options, resident = self.options, self.report.values["engine"]["resident"]
        engine, different = ("null", 1) if options.rehearse else ("triton", None)
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            tree = linked_tree(folder, options.files, different=different)
            weights = folder / "random.safetensors"
            self.checkpoint.save(weights)
            # The first run compiles and fills the cache of files.
            for batch in (_BATCHES[0], *_BATCHES):
                run = timed_run(
                    f"batch {batch}",
                    tree,
                    folder,
                    1,
                    engine=engine,
                    readers=None,
                    weights_file=weights,
                    device=options.device,
                    batch_size=batch,
                )
                value = {
                    "spectra_per_second": run.value,
                    "spectra": options.files * SPECTRA_OF_A_STAR,
                    **run.more,
                }
                line = (
                    f"reprocess, batch {batch:5}: {run.value:10.1f} spectra/s,"
                    f" {run.value / resident:5.2f} of the engine alone; {run.more['reading and writing']}"
                )
                self.report.say(f"reprocess/{run.name}", line, value)
        return True

    def rivals(self) -> bool:
        """Measure the same recipe and draws by other means, each with the batch that suits it best."""
        from benchmarks.rivals import Batched, upstream_loop

        torch, draws = self.torch, self.options.draws
        flux, error = self.recipe.clean_up(*spectra(64, self.pixels))
        loop = upstream_loop(self.checkpoint, self.device)
        self._rival("upstream loop, fp32", 1, lambda i: loop(flux[i % 64], error[i % 64], draws))
        batches = (1,) if self.options.rehearse else (1, 4, 16, 48)
        on_device = [torch.from_numpy(x).to(self.device) for x in (flux, error)]
        for name, two_dimensional, compiled in (
            ("torch eager fp16", False, False),
            ("conv2d channels_last fp16", True, False),
            ("torch.compile fp16", False, True),
            ("torch.compile conv2d fp16", True, True),
        ):
            if compiled and (self.options.skip_compile or self.options.rehearse):
                continue
            # CPUs have no fp16 convolutions to rehearse with.
            dtype = torch.float32 if self.device.type == "cpu" else torch.float16
            network = Batched(self.checkpoint, self.pixels, dtype, two_dimensional=two_dimensional)
            network.to_device(self.device)
            run: Any = torch.compile(network, mode="max-autotune") if compiled else network
            for batch in batches[-1:] if compiled else batches:
                given = [x[:batch] for x in on_device]
                try:
                    with torch.inference_mode():
                        self._rival(f"{name}, {batch} spectra", batch, lambda i, r=run, g=given: r(*g, draws))
                except RuntimeError as failure:
                    print(f"{name}, {batch} spectra: {str(failure).splitlines()[0][:100]}")
        return True

    def _rival(self, name: str, batch: int, work: Callable[[int], object]) -> None:
        rate = batch / self.time(work)
        resident = self.report.values["engine"]["resident"]
        self.report.say(
            f"rivals/{name}", f"{name:36} {rate:10.1f} spectra/s, engine / it {resident / rate:7.1f} x", rate
        )


def spectra(n: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Make up flux and error, float32 (n, pixels), S/N 20 to 200, with lines, gaps and bad pixels."""
    generator = np.random.default_rng(0)
    level = 10 ** generator.uniform(1.5, 4, (n, 1))
    truth = level * (1 - 0.4 * generator.random((n, pixels)) ** 6)
    error = truth / 10 ** generator.uniform(1.3, 2.3, (n, 1))
    flux = generator.normal(truth, error)
    for start, stop in CHIP_GAPS:
        gap = slice(start * pixels // PIXELS, stop * pixels // PIXELS)
        flux[:, gap], error[:, gap] = np.nan, 0
    return flux.astype(np.float32), error.astype(np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
