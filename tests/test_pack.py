"""`python -m apnet_fast.pack`: exit codes and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.pack import app
from apnet_fast.simulate import simulate_tree
from apnet_fast.support.console import run_app
from tests.sdss import TABLE, small_survey
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


def test_without_input_the_newest_summary_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def packed() -> int | str | None:
        monkeypatch.setattr("sys.argv", ["pack", "-o", str(tmp_path / "pack")])
        with pytest.raises(SystemExit) as ended:
            run_app(app)
        return ended.value.code

    assert packed() == 2
    assert "no input: SAS_BASE_DIR is not set" in capsys.readouterr().err
    monkeypatch.setenv("SAS_BASE_DIR", str(small_survey(tmp_path / "sas")))
    assert packed() == 0
    said = capsys.readouterr().err
    assert f"input: {tmp_path / 'sas' / TABLE}" in said
    assert "4 spectra of 2 files" in said
