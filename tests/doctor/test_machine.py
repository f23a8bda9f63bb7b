"""Versions are of every dependency, and the machine is described even where its files are missing."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch

from apnet_fast.doctor import machine

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_is_named() -> None:
    declared = {re.split(r"[^A-Za-z0-9_-]", word)[0].lower() for word in PROJECT["dependencies"]}
    assert declared == set(machine.NEEDED)


def test_versions_are_those_installed() -> None:
    facts = machine.versions()
    assert facts["numpy"] == metadata.version("numpy")
    assert facts["apnet_fast"].endswith("apnet_fast")
    assert machine._version("no-such-distribution") == "none"


def test_the_processor_is_described() -> None:
    facts = machine.processor()
    assert facts["model"]
    assert "may use" in facts["cores"]
    assert facts["instruction set"].startswith("torch ")


def test_a_container_tells_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine._container() == "not known"
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("8000000000\n")
    assert machine._container() == "1.5 cores, 8.0 GB"
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._container() == "none"


def test_lines_of_names_and_values_are_read(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n")
    assert machine._first_of(str(file), "model name") == "A: B"
    assert machine._first_of(str(file), "model") == ""
    assert machine._first_of(str(tmp_path / "gone"), "model name") == ""


def test_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert machine.gpus()["GPUs"] == "none visible"
    if machine._version("triton") == "none":
        pytest.skip("GPUs are described by the Triton engine")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", _Properties)
    facts = machine.gpus()
    assert facts["cuda:1"] == "Card of cuda:1, sm90, 80 GB, 132 processors"
    assert "GPUs" not in facts


class _Properties:
    total_memory, multi_processor_count, major, minor, gcnArchName = 80e9, 132, 9, 0, "sm90"

    def __init__(self, device: str) -> None:
        self.name = f"Card of {device}"
