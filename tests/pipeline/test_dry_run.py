"""A dry run tells what a run then does, and leaves nothing behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from apnet_fast.catalog.names import PRODUCT_NAMES
from apnet_fast.pipeline.dry_run import amount_of, forecast, measured_rate
from apnet_fast.pipeline.run import run
from apnet_fast.readers.packing import PackArguments, pack
from apnet_fast.support.errors import UsageError
from tests.pipeline.runs import arguments, settings, stored_shards


def files_below(folder: Path) -> list[str]:
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


def test_it_tells_what_a_run_does(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    expected = forecast(settings([tree], small_weights, output))
    assert files_below(tmp_path) == []
    text = "\n".join(expected.lines())
    assert "reads     7 files" in text
    assert "7 star spectra, 14 visit spectra (counted in all of them)" in text
    assert f"from {tree}" in text
    assert "recipe dr19, 3 draws, seed 0" in text
    assert "engine cpu on cpu, fp32; 4 shards of 2 files, 0 of them done already" in text
    assert f"{PRODUCT_NAMES['visit']}.fits, 14 rows" in text
    assert "takes     not known" in text

    summary = run(arguments([tree], small_weights, output))
    assert summary.rows == dict(expected.amount.spectra) == {"star": 7, "visit": 14}
    assert expected.plan.shards == len(stored_shards(output))
    for product, rows in summary.rows.items():
        fits = (output / f"{PRODUCT_NAMES[product]}.fits").stat().st_size
        assert expected.fits_bytes(product) == fits
        assert f"{rows} rows, about {fits / 1000:.3g} kB; and" in text

    before = {name: os.stat(name).st_mtime_ns for name in files_below(tmp_path)}
    text = "\n".join(forecast(settings([tree], small_weights, output)).lines())
    assert "4 shards of 2 files, 4 of them done already" in text
    assert "takes     no time" in text
    assert before == {name: os.stat(name).st_mtime_ns for name in files_below(tmp_path)}

    # A part of it is gone: that part takes time, at the rate that the run has measured.
    (stored_shards(output)[3] / "marker.json").unlink()
    left = forecast(settings([tree], small_weights, output))
    assert (left.done, left.files_left, left.spectra_left) == (3, 1, 3)
    measured = json.loads((output / "run.json").read_text())["spectra_per_second"]
    assert left.seconds == pytest.approx(3 / measured)
    assert f"for 3 spectra at {measured:.4g} spectra/s, as measured with 21 spectra by" in left.lines()[-2]
    assert "discarding" in "\n".join(forecast(settings([tree], small_weights, output, restart=True)).lines())


def record(folder: Path, **changes: object) -> None:
    """Write a run.json of an earlier run that did the same on this machine, but for the changes."""
    from apnet_fast.pipeline.provenance import machine

    values = {
        "fingerprint": {"network": "v3", "engine": "cpu", "precision": "fp32", "draws": 3},
        "device": "cpu",
        "machine": machine(),
        "finished": "2026-01-02T03:04:05+00:00",
        "spectra_this_run": 1000,
        "spectra_per_second": 10.0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(values | changes))


def test_the_rate_is_that_of_the_last_run_like_this(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    wanted = settings([tree], small_weights, tmp_path / "out")
    assert measured_rate(wanted) is None
    same = {"network": "v3", "engine": "cpu", "precision": "fp32", "draws": 3}
    others = [
        {"fingerprint": same | {"draws": 20}},
        {"fingerprint": same | {"engine": "triton"}},
        {"device": "cpu,cpu"},
    ]
    others += [{"machine": {"processor": "Z80", "cores": 1}}, {"spectra_per_second": None}, {"finished": 3}]
    for number, changes in enumerate(others):
        record(tmp_path / f"other{number}", **changes)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert measured_rate(wanted) is None
    record(tmp_path / "earlier", spectra_per_second=20.0)
    record(tmp_path / "last", finished="2026-05-06T07:08:09+00:00")
    rate = measured_rate(wanted)
    assert rate is not None
    assert (rate.per_second, rate.spectra, rate.record) == (10.0, 1000, tmp_path / "last" / "run.json")
    lines = forecast(wanted).lines()
    assert "takes     about 2 s for 21 spectra at 10 spectra/s" in lines[-2]
    assert lines[-2].endswith("(2026-05-06)")


def test_of_many_files_some_are_counted(broken_trees: dict[str, Path], tree: Path) -> None:
    files = sorted(str(path) for path in tree.rglob("*Star-*.fits"))
    assert len(files) == 7
    every, some = amount_of(files, ("star", "visit")), amount_of(files, ("star", "visit"), looked_at=3)
    assert every.is_exact
    assert not some.is_exact
    assert (some.files, some.looked_at, some.spectra) == (7, 3, every.spectra)  # two visits each
    assert every.bytes == sum(os.stat(file).st_size for file in files) == pytest.approx(some.bytes, rel=0.1)
    assert amount_of(files, ("visit",)).spectra == {"visit": 14}
    assert every.unusable == {}
    damaged = amount_of(sorted(map(str, broken_trees["dr17"].rglob("*.fits"))), ("star", "visit"))
    assert damaged.unusable["truncated"] > 0
    gone = amount_of([*files, "gone.fits"], ("star", "visit"))
    assert (gone.bytes, gone.unusable) == (every.bytes, {"missing_file": 2})


def test_what_is_left_out_and_will_fail_is_said(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "apVisit-dr17-5226-56468-100.fits").write_bytes(b"SIMPLE  =")
    words: list[Path | str] = [tree, folder, tmp_path / "gone.fits"]
    text = "\n".join(forecast(settings(words, small_weights, tmp_path / "out")).lines())
    assert "1 FITS files left out: not apStar" in text
    assert "of the spectra looked at, these will have no result: 2 missing_file" in text


def test_packs_are_counted_by_their_manifest(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    pack(PackArguments((str(tree),), tmp_path / "pack", spectra_per_file=6))
    found = forecast(settings([tmp_path / "pack"], small_weights, tmp_path / "out")).amount
    assert found.is_exact
    assert found.spectra == {"star": 7, "visit": 14}
    assert found.bytes == sum(path.stat().st_size for path in (tmp_path / "pack").glob("*.arrow"))
    packed = forecast(settings([tmp_path / "pack"], small_weights, tmp_path / "out"))
    plain = forecast(settings([tree], small_weights, tmp_path / "out"))
    assert "14 rows, at least " in "\n".join(packed.lines())
    assert 0.5 * plain.fits_bytes("visit") < packed.fits_bytes("visit") < plain.fits_bytes("visit")


def test_what_the_run_would_refuse_is_refused(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(arguments([tree], small_weights, output, engine="null"))
    with pytest.raises(UsageError, match="belongs to another run; got seed was 0 and is 1"):
        forecast(settings([tree], small_weights, output, engine="null", seed=1))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        forecast(settings([tree], small_weights, tmp_path / "foreign"))
