"""The tree as a whole: paths, truth table, repeatability, arguments."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow.parquet as pq
import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.simulate import tree as tree_module
from apnet_fast.simulate.healpix import ang2pix_ring
from apnet_fast.simulate.population import two_mass_name
from apnet_fast.simulate.tree import TRUTH_FILE
from apnet_fast.support.errors import Stopped, UsageError
from tests.simulate.simulated_trees import contents

STAR_PATHS = {
    "legacy": r"r8/stars/apo25m/\d{3}[+-]\d\d/apStar-r8-2M\d{8}[+-]\d{7}\.fits",
    "dr17": r"dr17/stars/(apo25m/\d{3}[+-]\d\d/ap|lco25m/\d{3}[+-]\d\d/as)Star-dr17-2M\d{8}[+-]\d{7}\.fits",
    "sdss5": r"1\.3/stars/(?P<t>(apo|lco)25m)/\d+/\d+/apStar-1\.3-(?P=t)-2M\d{8}[+-]\d{7}\.fits",
}


def truth(tree: Path) -> list[dict[str, object]]:
    return pq.read_table(tree / TRUTH_FILE).to_pylist()


def test_paths_and_truth_agree_with_the_files(tmp_path: Path, layout_name: str) -> None:
    tree = simulate_tree(tmp_path, stars=12, layout=layout_name, visits=1, seed=1)
    rows = truth(tree)
    assert len({row["path"] for row in rows}) == 12
    for row in rows:
        assert re.fullmatch(STAR_PATHS[layout_name], str(row["path"]))
        assert (row["layout"], row["case"], row["readable"]) == (layout_name, "", True)
        with fitsio.FITS(str(tree / str(row["path"]))) as file:
            header = file[0].read_header()
            flux, error = np.atleast_2d(file[1].read())[0], np.atleast_2d(file[2].read())[0]
        assert header["OBJID"] == row["obj"]
        assert header["NVISITS"] == row["n_visits"] == 1
        assert header["SNR"] == pytest.approx(row["snr"])
        assert two_mass_name(header["RA"], header["DEC"]) == row["obj"]
        assert ang2pix_ring(128, header["RA"], header["DEC"]) == row["healpix"]
        covered = np.isfinite(flux) & np.isfinite(error) & (error > 0) & (error != 1e10)
        assert np.median(flux[covered]) == pytest.approx(1.15e7 * 10 ** (-0.4 * float(row["h_mag"])), rel=0.1)


def test_sdss5_names_are_symlinks_to_a_version(tmp_path: Path) -> None:
    tree = simulate_tree(tmp_path, stars=3, layout="sdss5", seed=2)
    for row in truth(tree):
        link = tree / str(row["path"])
        assert link.is_symlink()
        header = fitsio.read_header(str(link))
        last_mjd = int(header[f"JD{row['n_visits']}"] - 2_400_000.5)
        assert header["STARVER"] == str(last_mjd)
        assert link.readlink() == Path(f"{link.stem}-{last_mjd}.fits")
        folders = link.relative_to(tree).parts
        assert folders[3:5] == (str(header["HEALPIX"] // 1000), str(header["HEALPIX"]))


def test_dr17_observes_from_both_hemispheres(tmp_path: Path) -> None:
    rows = truth(simulate_tree(tmp_path, stars=40, layout="dr17", visits=1))
    southern = sum(row["telescope"] == "lco25m" for row in rows)
    assert 3 <= southern <= 20


def test_equal_arguments_give_equal_bytes(tmp_path: Path, layout_name: str) -> None:
    def make(name: str, seed: int) -> dict[str, bytes]:
        tree = simulate_tree(tmp_path / name, stars=2, layout=layout_name, visits=2, seed=seed)
        return contents(tree)

    assert make("a", 7) == make("b", 7)
    assert make("c", 8).keys() != make("d", 7).keys()


def test_a_star_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    few = contents(simulate_tree(tmp_path / "few", stars=2, layout="dr17", seed=4))
    many = contents(simulate_tree(tmp_path / "many", stars=4, layout="dr17", seed=4, edge_cases=False))
    assert few.pop(TRUTH_FILE) != many.pop(TRUTH_FILE)
    assert few.items() <= many.items()


def test_visits_and_snr_as_asked_for(tmp_path: Path, layout_name: str) -> None:
    tree = simulate_tree(tmp_path, stars=3, layout=layout_name, visits=4, snr=120.0)
    for row in truth(tree):
        assert row["n_visits"] == 4
        assert row["snr"] == pytest.approx(120.0, rel=0.15)
        header = fitsio.read_header(str(tree / str(row["path"])))
        if layout_name == "dr17":
            assert header["SNRVIS2"] == pytest.approx(60.0, rel=0.1)
        else:
            assert header["SNRVIS2"] == pytest.approx(0.72 * 60.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "dr18"}, "legacy, dr17, sdss5"),
        ({"stars": 0}, "nothing to simulate"),
        ({"visits": 0}, "1 to 500"),
        ({"snr": float("nan")}, "positive number"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    arguments = {"stars": 1, "layout": "dr17", **changes}
    with pytest.raises(UsageError, match=message):
        simulate_tree(tmp_path / "tree", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "tree").exists()


def test_a_folder_that_holds_a_tree_is_refused(tmp_path: Path) -> None:
    simulate_tree(tmp_path, stars=1, layout="legacy", visits=1)
    with pytest.raises(UsageError, match="already holds"):
        simulate_tree(tmp_path, stars=1, layout="legacy", visits=1)


def test_importing_the_room_is_light() -> None:
    heavy = "{'torch', 'scipy', 'numba', 'astropy', 'typer'}"
    code = f"import sys, apnet_fast.simulate; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "set()"


SIGNALS = [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT]
ARGUMENTS: dict[str, Any] = {"stars": 2, "layout": "dr17", "visits": 1, "edge_cases": True}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("after", [1, 4])
def test_a_signal_stops_after_the_star_and_the_same_arguments_begin_anew(
    number: signal.Signals, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = tree_module.write_apstar, []

    def write_and_be_asked(path: Path, *given: Any) -> None:
        write(path, *given)
        written.append(path)
        if len(written) == after:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patched:
        patched.setattr(tree_module, "write_apstar", write_and_be_asked)
        with pytest.raises(Stopped, match=r"by a signal.*the same command again; it begins anew"):
            simulate_tree(tmp_path / "stopped", **ARGUMENTS)
    assert len(written) == after
    assert not (tmp_path / "stopped" / TRUTH_FILE).exists()
    simulate_tree(tmp_path / "stopped", **ARGUMENTS)
    simulate_tree(tmp_path / "whole", **ARGUMENTS)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize("number", SIGNALS[:3])
def test_the_command_ends_politely_when_it_is_asked_to(number: signal.Signals, tmp_path: Path) -> None:
    words = ["--stars", "100000", "--layout", "dr17", "--visits", "1", "--output", str(tmp_path / "tree")]
    command = subprocess.Popen([sys.executable, "-m", "apnet_fast.simulate", *words], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.rglob("*.fits")):
            assert time.monotonic() < deadline
            assert command.poll() is None
            time.sleep(0.05)
        command.send_signal(number)
        said = command.communicate(timeout=120)[1]
    finally:
        command.kill()
        command.communicate(timeout=60)
    assert command.returncode == 4, said
    assert f"{number.name}: stopping after this star" in said
    assert "stopped: by a signal" in said
    assert not list(tmp_path.rglob("*.partial"))
