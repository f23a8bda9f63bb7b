"""The house: rooms that look down only, kernels that the type checker sees, a test file for every module."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "apnet_fast"


def modules() -> list[Path]:
    """All modules of the package, relative to it; kernels/ is reached through its link."""
    files = [Path(folder) / name for folder, _, names in os.walk(PACKAGE, followlinks=True) for name in names]
    return sorted(file.relative_to(PACKAGE) for file in files if file.suffix == ".py")


def copy_of_the_house(tmp_path: Path) -> Path:
    """The sources of the package and the settings of its checkers, in a folder of their own."""
    ignored = shutil.ignore_patterns("data", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "apnet_fast", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path / "apnet_fast"


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a checker in a folder; only that folder's package can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def lint_imports(cwd: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml."""
    return run(
        sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache", cwd=cwd
    )


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("recipes/rank.py", "import apnet_fast.pipeline.run", "No import from a lower room to a higher one"),
        ("recipes/labels.py", "import torch", "recipes: no torch, no files, no devices"),
        ("spectra/mwm.py", "def f():\n    from apnet_fast.networks import v3", "spectra, inputs, readers: no networks"),
        ("kernels/pool.py", "import apnet_fast.recipes.noise", "kernels: tensors in, tensors out"),
        ("kernels/pool.py", "import apnet_fast.simulate.pixels", "kernels: tensors in, tensors out"),
        ("catalog/rows.py", "import torch", "catalog: no networks, no engines"),
        ("api.py", "import apnet_fast.catalog.names", "api: no catalogues, no runs"),
        ("train/cache.py", "import apnet_fast.pipeline.plan", "train: no pipeline"),
        ("doctor/machine.py", "import apnet_fast.spectra.layout", "doctor: no spectra"),
        ("new_room.py", "x = 1", "No import from a lower room to a higher one"),
    ],
)
@pytest.mark.slow
def test_a_wrong_import_breaks_a_contract(tmp_path: Path, file: str, line: str, contract: str) -> None:
    package = copy_of_the_house(tmp_path)
    target = package / file
    target.write_text((target.read_text() if target.exists() else "") + f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN") or "new_room" in text]
    assert any(contract in text for text in broken) or "new_room" in done.stdout


@pytest.mark.slow
def test_the_house_as_it_stands_keeps_every_contract() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_type_checker_sees_an_error_in_kernels(tmp_path: Path) -> None:
    package = copy_of_the_house(tmp_path)
    pool = package / "kernels" / "pool.py"
    pool.write_text(pool.read_text() + '\n\nWRONG: int = "no number"\n')
    done = run(
        sys.executable, "-m", "mypy", "-p", "apnet_fast.kernels", "--cache-dir", str(tmp_path / "c"), cwd=tmp_path
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "kernels/pool.py" in done.stdout
    assert "Incompatible types in assignment" in done.stdout


# Tests that mirror no module: of pages, of the house, of what several modules do together, or of one module's second
# subject. The folder tests/fuzz holds a program of its own.
ACROSS_MODULES = {
    "backends/test_docs.py",
    "catalog/test_cases.py",
    "catalog/test_examples.py",
    "catalog/test_round_trip.py",
    "cluster/test_left_behind.py",
    "engines/test_demo_weights.py",
    "inputs/test_table_writers.py",
    "networks/test_upstream_vgg.py",
    "pipeline/test_doubtful.py",
    "pipeline/test_faults.py",
    "pipeline/test_file_systems.py",
    "pipeline/test_random_kills.py",
    "pipeline/test_signals.py",
    "pipeline/test_whole_tiles.py",
    "recipes/test_recipe_vgg.py",
    "recipes/test_without_torch.py",
    "report/test_browser.py",
    "simulate/test_real_stars.py",
    "spectra/test_apstar_failures.py",
    "spectra/test_cut_down.py",
    "test_docs.py",
    "test_house.py",
    "test_notebook.py",
    "test_packaging.py",
    "test_processes.py",
}
# Run by pytest-benchmark, so it is a file of tests itself.
_BENCHMARKS_THAT_ARE_TESTS = {"bench_cpu.py"}


def mirrored() -> dict[Path, Path]:
    """Every module of the package and of benchmarks/, by its place in tests/ (without "test_")."""
    places = {file: PACKAGE / file for file in modules()}
    for file in sorted((ROOT / "benchmarks").rglob("*.py")):
        if file.name not in _BENCHMARKS_THAT_ARE_TESTS:
            places[file.relative_to(ROOT)] = file
    return places


def places_of_tests(place: Path) -> set[Path]:
    """Where the tests of a module may stand. Those of a package's own code are in its folder, or beside it."""
    if place.name != "__init__.py":
        return {place.with_name(f"test_{place.name}")}
    folder = place.parent
    name = f"test_{folder.name or PACKAGE.name}.py"
    return {folder / name, folder.parent / name}


def has_behaviour(module: Path) -> bool:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)


def untested(places: dict[Path, Path], tests: set[Path]) -> list[str]:
    """The modules with behaviour that have no test file."""
    return [str(place) for place, file in places.items() if has_behaviour(file) and not tests & places_of_tests(place)]


def left_behind(places: dict[Path, Path], tests: set[Path]) -> list[str]:
    """The test files whose module is not there."""
    expected = {test for place in places for test in places_of_tests(place)}
    return sorted(str(test) for test in tests - expected)


def all_test_files() -> set[Path]:
    files = {test.relative_to(ROOT / "tests") for test in (ROOT / "tests").rglob("test_*.py")}
    return {file for file in files if file.parts[0] != "fuzz"}


def test_every_module_with_behaviour_has_its_test() -> None:
    places = mirrored()
    assert len(places) > 100
    assert untested(places, all_test_files()) == []
    # A package's own code counts, and so do the benchmarks.
    without = all_test_files() - {Path("engines/test_engines.py"), Path("benchmarks/test_gpu_kernels.py")}
    assert untested(places, without) == ["engines/__init__.py", "benchmarks/gpu_kernels.py"]


def test_every_test_file_is_of_a_module() -> None:
    """The other way round: no test file is left behind by a module that has moved."""
    places = mirrored()
    assert left_behind(places, all_test_files()) == sorted(ACROSS_MODULES)
    del places[Path("recipes/rank.py")]
    assert set(left_behind(places, all_test_files())) - ACROSS_MODULES == {"recipes/test_rank.py"}


@pytest.mark.parametrize(
    "room", ["recipes", "catalog", "catalog.rows", "inputs.words", "readers.pool", "spectra", "cli"]
)
def test_rooms_without_torch_do_not_load_it(room: str) -> None:
    code = f"import sys, apnet_fast.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_tests_are_no_part_of_the_package() -> None:
    code = "import apnet_fast.tests"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_the_architecture_page_shows_the_house_as_it_is() -> None:
    """Its picture is drawn from the imports, and its table has a row for every room."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = run(sys.executable, str(ROOT / "docs" / "rooms.py"), cwd=ROOT)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout in page
    rooms = {file.parts[0] for file in modules() if len(file.parts) > 1}
    assert {room for room in rooms if f"`{room}/`" not in page} == set()
