"""Words that stand for shipped weights."""

from __future__ import annotations

from pathlib import Path

from apnet_fast.networks.shipped import SHIPPED, weights_path


def test_words_are_files_of_the_package() -> None:
    assert weights_path("demo") == SHIPPED["demo"]
    assert all(path.is_file() for path in SHIPPED.values())


def test_everything_else_is_a_path() -> None:
    for given in ("demo.safetensors", "./demo", "folder/demo", "DEMO"):
        assert weights_path(given) == Path(given)
    assert weights_path(Path("w.safetensors")) == Path("w.safetensors")
