"""The newest summary table: where it is looked for, and which one counts."""

from __future__ import annotations

import gzip
import pickle
import re
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.inputs.newest_summary import (
    DR17_TABLE,
    REMEDY,
    UnreadableSummary,
    default_inputs,
    default_root,
    newest_summary,
)
from apnet_fast.support.errors import UsageError


def table(root: Path, place: str, rows: int = 1) -> str:
    """Write a table with some rows at a place of the survey; Astra's have one of optical spectra before it."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_name(path.name.removesuffix(".gz"))
    with fitsio.FITS(str(plain), "rw", clobber=True) as file:
        if "mwm" in path.name:
            file.write(np.zeros(5, [("run2d", "S6")]), header={"INSTRMNT": "BOSS"})
        header = {"INSTRMNT": "APOGEE"} if "mwm" in path.name else None
        file.write(np.zeros(rows, [("release", "S5"), ("apred", "S4"), ("obj", "S19")]), header=header)
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return str(path)


def mwm(version: str, home: str = "sdsswork/mwm/spectro/astra", suffix: str = "") -> str:
    return f"{home}/{version}/summary/mwmAllStar-{version}.fits{suffix}"


def reduction(apred: str, telescope: str) -> str:
    return f"sdsswork/mwm/apogee/spectro/redux/{apred}/summary/allStar-{apred}-{telescope}.fits"


def newest(root: Path, astra: Path | None = None) -> tuple[str, ...]:
    found = newest_summary(root, astra)
    return () if found is None else found.tables


def test_a_higher_version_counts_and_astras_tables_before_others(tmp_path: Path) -> None:
    assert newest(tmp_path) == ()
    expected = table(tmp_path, DR17_TABLE)
    assert newest(tmp_path) == (expected,)
    older = [table(tmp_path, reduction("1.3", telescope)) for telescope in ("lco25m", "apo25m")]
    assert newest(tmp_path) == (older[1], older[0])  # one per telescope
    newer = table(tmp_path, reduction("1.10", "apo25m"))  # a number, not a text: above 1.3
    assert newest(tmp_path) == (newer,)
    table(tmp_path, reduction("daily", "apo25m"))
    assert newest(tmp_path) == (newer,)
    released = table(tmp_path, mwm("0.6.0", "dr19/spectro/astra", ".gz"))
    assert newest(tmp_path) == (released,)
    working = table(tmp_path, mwm("0.6.0"))
    assert newest(tmp_path) == (working,)
    last = table(tmp_path, mwm("0.10.1"))
    table(tmp_path, mwm("0.9.3"))
    assert newest(tmp_path) == (last,)


def test_astras_folder_is_looked_at_wherever_it_is(tmp_path: Path) -> None:
    root, astra = tmp_path / "sas", tmp_path / "elsewhere"
    root.mkdir()
    (astra / "pipelines").mkdir(parents=True)
    expected = table(astra, "0.8.1/summary/mwmAllStar-0.8.1.fits")
    assert newest(root, astra) == (expected,)
    assert newest(root) == ()


def test_what_is_found_says_which_folder_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, astra = tmp_path / "sas", tmp_path / "elsewhere"
    root.mkdir()
    monkeypatch.setenv("SAS_BASE_DIR", str(root))
    monkeypatch.setenv("MWM_ASTRA", str(astra))

    def said(astra: Path | None = astra) -> str:
        found = newest_summary(root, astra)
        assert found is not None
        return found.lines()[-1].partition("(")[2]

    released = table(root, mwm("0.5.0", "dr19/spectro/astra"))
    assert said() == f"the newest below {root} (SAS_BASE_DIR))"
    own = Path(table(astra, "0.6.0/summary/mwmAllStar-0.6.0.fits"))
    assert said() == f"the newest below {astra} (MWM_ASTRA))"
    # Astra's folder may lie in the survey's tree.
    assert said(Path(released).parents[2]) == f"the newest below {root} (SAS_BASE_DIR))"
    monkeypatch.delenv("SAS_BASE_DIR")
    assert said(None) == f"the newest below {root})"  # --root
    own.write_bytes(b"junk")
    with pytest.raises(UsageError, match=re.escape(f"below {astra} (MWM_ASTRA) was chosen as the input, and cannot")):
        newest_summary(root, astra)


def test_an_unreadable_table_says_who_chose_it_and_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    damaged = Path(table(tmp_path, mwm("0.8.1")))
    damaged.write_bytes(b"junk")
    with pytest.raises(UnreadableSummary) as raised:
        default_inputs(default_root(None))
    said = str(raised.value)
    assert said.startswith(f"the newest summary table below {tmp_path} (SAS_BASE_DIR) was chosen as the input")
    assert str(damaged) in said
    assert said.endswith(REMEDY)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.what, again.why) == (said, raised.value.what, raised.value.why)


def test_tables_without_rows_are_left_out_and_named(tmp_path: Path) -> None:
    empty = table(tmp_path, mwm("0.8.1"), rows=0)
    expected = table(tmp_path, mwm("0.6.0"))
    found = newest_summary(tmp_path)
    assert found is not None
    assert (found.tables, found.empty) == ((expected,), (empty,))


def test_a_damaged_table_is_an_error_and_no_reason_for_an_older_one(tmp_path: Path) -> None:
    table(tmp_path, mwm("0.6.0"))
    damaged = Path(table(tmp_path, mwm("0.8.1")))
    damaged.write_bytes(damaged.read_bytes()[:4000])
    with pytest.raises(UsageError, match=r"mwmAllStar-0\.8\.1"):
        newest_summary(tmp_path)


def test_the_words_of_a_command_that_was_given_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no input: SAS_BASE_DIR is not set; expected mwmAllStar"):
        default_inputs(default_root(None))
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"SAS_BASE_DIR is .*none, which is not a folder"):
        default_inputs(default_root(None))
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=re.escape(f"no table with rows below {tmp_path}")):
        default_inputs(default_root(None))
    empty, expected = table(tmp_path, mwm("0.8.1"), rows=0), table(tmp_path, mwm("0.6.0"))
    assert default_inputs(default_root(None)) == (expected,)
    said = capsys.readouterr().err
    assert f"left out: {empty} has no rows" in said
    assert f"input: {expected} (the newest below {tmp_path} (SAS_BASE_DIR))" in said
    other = tmp_path / "other"
    assert default_root(other) == other
    with pytest.raises(UsageError, match=r"other, which is not a folder"):
        default_inputs(other)
