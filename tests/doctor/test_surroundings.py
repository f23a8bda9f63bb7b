"""Caches and variables are told, and secrets are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.doctor import surroundings


def test_variables_that_matter_are_told_sorted_and_without_secrets() -> None:
    facts = surroundings.environment(
        {
            "SAS_BASE_DIR": "/sas",
            "HOME": "/home/somebody",
            "OMP_NUM_THREADS": "4",
            "APNET_FAST_WEIGHTS": "w.safetensors",
            "APNET_FAST_API_TOKEN": "hidden",
        }
    )
    assert list(facts) == ["APNET_FAST_API_TOKEN", "APNET_FAST_WEIGHTS", "OMP_NUM_THREADS", "SAS_BASE_DIR"]
    assert facts["OMP_NUM_THREADS"] == "4"
    assert facts["SAS_BASE_DIR"] == "/sas  (NO FOLDER)"
    assert "hidden" not in str(facts)
    assert list(surroundings.environment({"HOME": "/"})) == ["variables"]


def test_folders_tell_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2_000_000)
    assert surroundings.folder_text(tmp_path).startswith(f"{tmp_path}, 1 files, 2.0 MB, can be written to, ")
    assert "files" not in surroundings.folder_text(tmp_path, content=False)
    missing = surroundings.folder_text(tmp_path / "b" / "c")
    assert missing.startswith(f"{tmp_path / 'b' / 'c'}, not there yet, can be written to")


def test_a_folder_without_write_access_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(surroundings.tempfile, "TemporaryFile", refuse)
    assert "CANNOT be written to" in surroundings.folder_text(tmp_path)


def test_the_cache_of_compiled_code_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert surroundings.caches()["numba"].startswith(f"{tmp_path}, 0 files")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert surroundings.caches()["numba"].endswith("other modules")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "t"))
    assert surroundings.caches()["triton"].startswith(f"{tmp_path / 't'}, not there yet")

    class _None:
        _cache = None

    monkeypatch.setattr(surroundings, "philox4x32", _None)
    assert surroundings.caches()["numba"].startswith("none")


def test_values_that_cannot_be_used_are_told_beside_them(tmp_path: Path, small_weights: Path) -> None:
    (tmp_path / "thesis.tex").write_text("no weights")
    none = str(tmp_path / "none")
    facts = surroundings.environment({"SAS_BASE_DIR": none, "MWM_ASTRA": none, "APNET_FAST_WEIGHTS": none})
    assert facts["SAS_BASE_DIR"] == facts["MWM_ASTRA"] == f"{none}  (NO FOLDER)"
    assert facts["APNET_FAST_WEIGHTS"] == f"{none}  (NO WEIGHTS FILE: no such weights file)"
    text = surroundings.environment({"APNET_FAST_WEIGHTS": str(tmp_path / "thesis.tex")})["APNET_FAST_WEIGHTS"]
    assert text.startswith(f"{tmp_path / 'thesis.tex'}  (NO WEIGHTS FILE: ")
    assert "no weights" not in text
    for usable in ("demo", str(small_weights)):
        good = {"SAS_BASE_DIR": str(tmp_path), "MWM_ASTRA": str(tmp_path), "APNET_FAST_WEIGHTS": usable}
        assert surroundings.environment(good) == good
