"""The science and the catalogues are imported without torch, so that readers and tables start fast."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

CHECK = "import sys; sys.exit('torch' in sys.modules)"


def modules(package: str) -> list[str]:
    found = pkgutil.walk_packages(sys.modules[package].__path__, f"{package}.")
    return [package, *(module.name for module in found)]


@pytest.mark.parametrize("package", ["apnet_fast.recipes", "apnet_fast.catalog"])
def test_no_module_of_the_room_imports_torch(package: str) -> None:
    names = modules(package)
    assert len(names) > 8
    code = f"import {', '.join(names)}; {CHECK}"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_an_import_of_torch_would_be_noticed() -> None:
    code = f"import apnet_fast.networks.scaling; {CHECK}"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 1
