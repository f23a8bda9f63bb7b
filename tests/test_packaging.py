"""What is published: a wheel and an sdist that hold everything, and declare everything they need."""

from __future__ import annotations

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Modules whose names are not those of their distributions.
_DISTRIBUTIONS = {"yaml": "pyyaml", "mpl_toolkits": "matplotlib"}
# Imported only if the user's own values come from there.
_AT_THE_EDGE = {"astropy", "pandas"}


def _third_party() -> set[str]:
    """Distributions that modules of the package import anywhere in them."""
    found = set()
    for folder, _, names in os.walk(ROOT / "apnet_fast", followlinks=True):
        for name in names:
            if not name.endswith(".py"):
                continue
            for node in ast.walk(ast.parse((Path(folder) / name).read_text(encoding="utf-8"))):
                words = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    words = [node.module or ""]
                found |= {word.partition(".")[0] for word in words}
    return {_DISTRIBUTIONS.get(name, name) for name in found - set(sys.stdlib_module_names) - {"apnet_fast", ""}}


def test_what_is_imported_is_declared() -> None:
    declared = [*PROJECT["dependencies"]]
    for extra, words in PROJECT["optional-dependencies"].items():
        if extra not in ("dev", "bench", "docs"):
            declared += words
    names = {re.split(r"[^A-Za-z0-9_-]", word)[0].lower() for word in declared}
    assert _third_party() - _AT_THE_EDGE <= names


def test_torch_keeps_its_upper_bound() -> None:
    """Without it, a CPU machine would fetch the newest CUDA build."""
    assert any(re.fullmatch(r"torch>=[\d.]+,<[\d.]+", word) for word in PROJECT["dependencies"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it, both from a copy of the tracked files."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def _data_files() -> set[str]:
    """Files of the package that are not Python: weights, tables, templates."""
    found = set()
    for folder, _, names in os.walk(ROOT / "apnet_fast", followlinks=True):
        where = Path(folder)
        if "__pycache__" not in where.parts:
            found |= {str((where / name).relative_to(ROOT)) for name in names if not name.endswith((".py", ".pyc"))}
    return found


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    wanted = _data_files() | {
        "apnet_fast/__init__.py",
        "apnet_fast/kernels/stem.py",
        "apnet_fast/simulate/stars/lines.py",
    }
    assert wanted <= in_wheel
    promised = {
        "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "docs/install.md", "docs/first-star.ipynb", "docs/conf.py",
        "benchmarks/cpu.py", "benchmarks/results/cpu.json", "tests/test_packaging.py", "setup.py",
    }  # fmt: skip
    assert wanted | promised | {"pyproject.toml", "README.md", "LICENSE"} <= in_sdist
    assert not {name for name in in_wheel if name.startswith(("tests/", "benchmarks/", "kernels/"))}


@pytest.mark.slow
def test_benchmarks_run_from_an_unpacked_sdist(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", "import apnet_fast, benchmarks.run; print(apnet_fast.__file__, benchmarks.__file__)"],
        cwd=unpacked, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(unpacked)) == 2
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--help"],
        cwd=unpacked, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--tier" in done.stdout


def _relative_links(text: str) -> list[str]:
    return re.findall(r"\]\((?![a-z]+:|#)[^)]+\)", text)


@pytest.mark.slow
def test_the_readme_of_the_wheel_has_no_relative_links(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown" in metadata
    assert "## Two commands" in metadata
    assert _relative_links(metadata) == []
    assert len(_relative_links((ROOT / "README.md").read_text(encoding="utf-8"))) > 10


def test_links_of_the_readme_lead_into_the_site_once_it_has_an_address() -> None:
    index_readme = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")["index_readme"]
    text = (
        "# Title\nSee [docs/a-b.md](docs/a-b.md), [all](docs/c.md#d), [more](CONTRIBUTING.md), [x](https://x.org/y.md)."
    )
    assert index_readme(text, "https://site.org/en/") == (
        "# Title\nSee [docs/a-b.md](https://site.org/en/a-b.html), [all](https://site.org/en/c.html#d),"
        " [more](https://site.org/en/contributing.html), [x](https://x.org/y.md)."
    )
    without = index_readme(text, None)
    assert "See `docs/a-b.md`, all (`docs/c.md#d`), more (`CONTRIBUTING.md`), [x](https://x.org/y.md)." in without
    assert without.startswith("# Title\n\nPaths such as")


@pytest.mark.slow
def test_every_module_of_the_wheel_can_be_imported(built: Path, tmp_path: Path) -> None:
    """In an environment that has the wheel, and of this one only the third-party packages."""
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    (site,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=300)
    # A folder that a .pth file names is searched last, and its own .pth files, such as that of an editable
    # installation of this package, are not read.
    theirs = {str(Path(entry)) for entry in sys.path if entry.endswith("site-packages")}
    (site / "theirs.pth").write_text("\n".join(theirs) + "\n")
    code = """
import importlib, pathlib, pkgutil, apnet_fast
where = pathlib.Path(apnet_fast.__file__)
assert "environment" in where.parts, where
names = [module.name for module in pkgutil.walk_packages(apnet_fast.__path__, "apnet_fast.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150
    script = subprocess.run(
        [str(python.parent / "apnet-fast"), "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert script.stdout.startswith("apnet_fast ")
