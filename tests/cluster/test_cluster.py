"""The room as Dask's workers import it: with the standard library alone, and `DaskTeam` on first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import apnet_fast.cluster

HEAVY = "{'torch', 'numba', 'numpy', 'pyarrow', 'distributed'}"


def loaded_by(code: str) -> set[str]:
    """Which of the heavy packages a fresh Python has loaded after these lines."""
    code = f"import sys; {code}; print(*{HEAVY} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_dask_imports_on_its_workers_is_light() -> None:
    assert loaded_by("import apnet_fast.cluster, apnet_fast.cluster.node, apnet_fast.cluster.messages") == set()
    assert "numpy" in loaded_by("import apnet_fast.cluster.team")


def test_the_team_is_imported_on_first_use() -> None:
    pytest.importorskip("distributed")
    from apnet_fast.cluster.team import DaskTeam

    assert apnet_fast.cluster.DaskTeam is DaskTeam


def test_a_misspelt_name_is_named() -> None:
    with pytest.raises(AttributeError, match="no attribute 'DaskTeams'"):
        apnet_fast.cluster.DaskTeams  # noqa: B018
