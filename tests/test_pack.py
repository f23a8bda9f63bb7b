"""`python -m apnet_fast.pack`: exit codes and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.simulate import simulate_tree
from tests.test_reprocess import reprocess


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ordinary stars."""
    return simulate_tree(tmp_path_factory.mktemp("cli") / "tree", stars=2, layout="legacy", visits=1)


def test_exit_codes(tree: Path, tmp_path: Path) -> None:
    code, said = reprocess(tree, "--output", tmp_path / "pack", module="apnet_fast.pack")
    assert code == 0, said
    assert "4 spectra of 2 files" in said
    code, said = reprocess(tree, tmp_path / "gone.fits", "-o", tmp_path / "with_gone", module="apnet_fast.pack")
    assert code == 3
    assert "2 spectra without data" in said
    code, said = reprocess(tmp_path / "nowhere", "--output", tmp_path / "pack", module="apnet_fast.pack")
    assert code == 2
    assert "no such input" in said
    assert "Traceback" not in said
