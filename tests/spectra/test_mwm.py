"""mwmStar and mwmVisit files: the spectra of apStar files in their public form, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from apnet_fast.recipes import RECIPES
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import SpectrumBatch
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.mwm import has_mwm_tables, read_mwm
from apnet_fast.support.grid import PIXELS
from tests.fuzz.fits_mutations import joined, split
from tests.spectra.mwm_files import DTYPES, SDSS_ID, name_of, rows_like, write_mwm

KINDS = ("star", "visit")


@pytest.fixture(scope="module")
def apstars(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SpectrumBatch]:
    """Spectra of one ordinary star of three visits in the two layouts that DR19 has."""
    root = tmp_path_factory.mktemp("apstars")
    batches = {}
    for layout in ("dr17", "sdss5"):
        simulate_tree(root / layout, stars=1, layout=layout, visits=3, seed=8)
        batches[layout] = read_apstar(str(min((root / layout).rglob("*Star-*.fits"))))
    return batches


@pytest.mark.parametrize("layout", ["dr17", "sdss5"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_spectrum_is_that_of_its_apstar_file(
    layout: str, kind: str, apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    apstar = apstars[layout]
    batch = read_mwm(str(write_mwm(tmp_path / name_of(kind), rows_like(apstar, kind))))
    chosen = [i for i, record in enumerate(apstar.records) if record.product == kind]
    assert len(batch) == len(chosen) == (1 if kind == "star" else 3)
    np.testing.assert_array_equal(batch.flux, apstar.flux[chosen])
    # Recipes make the same of both, to the rounding of the inverse variance; of other errors they do not.
    for recipe in RECIPES.values():
        expected = recipe.clean_up(apstar.flux[chosen], apstar.error[chosen])[1]
        np.testing.assert_allclose(recipe.clean_up(batch.flux, batch.error)[1], expected, rtol=1e-6)
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(recipe.clean_up(batch.flux, 1.00001 * batch.error)[1], expected, rtol=1e-6)
    for record, original in zip(batch.records, (apstar.records[i] for i in chosen), strict=True):
        assert record.product == kind
        assert record.snr == pytest.approx(original.snr, rel=1e-6)
        assert record.visit == original.visit
        assert (record.sdss_id, record.spectrum_pk, record.hdu) == (SDSS_ID, 1000 + original.row, 3)
        assert (record.ra, record.dec) == (187.12584, -66.59794)
        same = record.identity == original.identity
        # mwmStar does not name the field that sorts the coadds of DR17.
        assert same is not (layout == "dr17" and kind == "star")
        if same:
            assert replace(record.star, healpix=0, starver="") == replace(original.star, healpix=0, starver="")


def test_a_one_metre_visit_has_the_name_of_its_reduction(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:1]
    rows["telescope"], rows["reduction"], rows["plate"], rows["obj"] = "apo1m", "VESTA", "", "2M00000000+0000000"
    rows["field"], rows["mjd"] = "calibration", 56_000
    record = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows))).records[0]
    assert record.identity == "dr17/dr17/apo1m/calibration/VESTA/apVisit-dr17-56000-VESTA.fits"


def test_coadds_of_both_telescopes_and_either_table_empty(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    apo, lco = (rows_like(apstars[layout], "star") for layout in ("sdss5", "dr17"))
    lco["telescope"] = "lco25m"
    both = read_mwm(str(write_mwm(tmp_path / name_of("star"), np.repeat(apo, 2), lco)))
    assert [(record.hdu, record.row, record.star.telescope) for record in both.records] == [
        (3, 0, "apo25m"),
        (3, 1, "apo25m"),
        (4, 0, "lco25m"),
    ]
    assert both.records[2].star.prefix == "as"
    only_lco = read_mwm(str(write_mwm(tmp_path / name_of("star"), None, lco)))
    assert [record.hdu for record in only_lco.records] == [4]
    # Empty with its columns, as Astra writes it where it has a model of them.
    only_apo = read_mwm(str(write_mwm(tmp_path / name_of("star"), apo, np.zeros(0, DTYPES["star"]))))
    assert [record.hdu for record in only_apo.records] == [3]
    nothing = read_mwm(str(write_mwm(tmp_path / name_of("star"))))
    assert nothing.flux.shape == nothing.error.shape == (0, PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_products_wanted(kind: str, apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    path = str(write_mwm(tmp_path / name_of(kind), rows_like(apstars["sdss5"], kind)))
    other = "visit" if kind == "star" else "star"
    assert len(read_mwm(path, (other,))) == 0
    assert read_mwm(path, (kind,)).records == read_mwm(path).records
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / name_of(kind)).write_text("not FITS")
    assert len(read_mwm(str(broken / name_of(kind)), (other,))) == 0
    assert len(read_mwm(str(broken / name_of(kind)), (kind,))) == 1


def test_two_visits_of_one_name_do_not_share_their_noise(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")
    batch = read_mwm(str(write_mwm(tmp_path / name_of("visit"), np.concatenate([rows, rows[1:2]]))))
    assert len({record.identity for record in batch.records}) == 4
    assert batch.records[3].visit.mjd == batch.records[1].visit.mjd


def test_twins_do_not_share_their_noise(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    """Two coadds of one release, telescope and object: the first keeps the identity that it had."""
    row = rows_like(apstars["sdss5"], "star")
    (alone,) = read_mwm(str(write_mwm(tmp_path / name_of("star"), row))).records
    batch = read_mwm(str(write_mwm(tmp_path / name_of("star"), np.repeat(row, 3), np.repeat(row, 2))))
    identities = [record.identity for record in batch.records]
    assert identities[0] == alone.identity == alone.star.spectrum()
    assert len(set(identities)) == 5
    assert [record.is_twin for record in batch.records] == [False, True, True, True, True]
    assert read_mwm(str(tmp_path / name_of("star"))).records == batch.records


def test_twins_of_both_tables_and_without_a_name(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = np.repeat(rows_like(apstars["dr17"], "visit")[:1], 3)
    batch = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows, rows)))
    assert len({record.identity for record in batch.records}) == 6


def test_the_tables_and_the_header_fill_what_was_measured(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["sdss5"], "star")
    more = [
        ("v_rad", "f4"),
        ("in_stack", "?"),
        ("e_v_rad", "f4"),
        ("spectrum_flags", "i8"),
        ("n_components", "i4"),
        ("doppler_teff", "f4"),
    ]
    table = np.zeros(1, [*rows.dtype.descr, *more])
    for name in rows.dtype.names:
        table[name] = rows[name]
    flags = 2**60 + 1
    table["v_rad"], table["e_v_rad"], table["spectrum_flags"], table["n_components"] = 12.5, np.nan, flags, -1
    table["doppler_teff"], table["in_stack"] = 4800, True
    path = write_mwm(tmp_path / name_of("star"), table, cards={"J_MAG": 9.5, "SIMULATD": True})
    (record,) = read_mwm(str(path)).records
    assert record.simulated
    measured = record.measured
    assert (measured.v_rad, measured.spectrum_flags, measured.n_components) == (12.5, flags, None)
    assert (measured.doppler_teff, measured.j_mag, measured.in_stack) == (4800, 9.5, 1)
    assert np.isnan([measured.e_v_rad, measured.h_mag, measured.doppler_logg]).all()


def written_by_astropy(path: Path, rows: np.ndarray, masked: Collection[str] = (), **values: np.ndarray) -> Path:
    """The file that astropy writes of rows; the columns named are masked in the first row."""
    table = Table(rows)
    for name, column in values.items():
        table[name] = column
    table = Table(table, masked=True)
    for name in masked:
        table[name].mask = [True] + [False] * (len(table) - 1)
    empty = fits.table_to_hdu(table[:0])
    fits.HDUList([fits.PrimaryHDU(), empty, empty, fits.table_to_hdu(table), empty]).writeto(path, overwrite=True)
    return path


def test_masked_values_are_null(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:2]
    path = tmp_path / name_of("visit")
    more = {"spectrum_flags": np.array([4, 8]), "in_stack": np.array([1, 0], "i2"), "n_components": np.array([1, 2])}
    more |= {"v_rad": np.array([1.5, 2.5], "f4"), "date_obs": np.array(["2017-09-03", "2018-01-01"])}
    whole = read_mwm(str(written_by_astropy(path, rows, **more)))
    names = (*more, "sdss_id", "spectrum_pk", "fiber", "mjd", "healpix", "snr", "plate")
    first, second = read_mwm(str(written_by_astropy(path, rows, names, **more))).records
    assert second == whole.records[1]
    measured, visit = first.measured, first.visit
    assert (measured.spectrum_flags, measured.in_stack, measured.n_components, measured.date_obs) == (None,) * 3 + ("",)
    assert (first.sdss_id, first.spectrum_pk, first.star.healpix, visit.fiber, visit.mjd) == (-1,) * 5
    assert (visit.file, visit.plate) == ("", "")
    assert np.isnan([first.snr, measured.v_rad]).all()
    # What cannot be named is identified by its place.
    assert first.identity == first.star.spectrum("visit-row-0")
    assert whole.records[0].identity == apstars["dr17"].records[1].identity
    assert whole.records[0].measured.spectrum_flags == 4


@pytest.mark.parametrize("number", [-9999, -1, 99999, 999999])
def test_numbers_that_stand_for_unknown_are_null(
    number: int, apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:2]
    names = ("v_rad", "e_v_rad", "std_v_rad", "bc", "doppler_teff", "in_stack", "n_components")
    more = {name: np.array([number, 1], "i4") for name in (*names, "snr", "fiber", "mjd", "healpix")}
    first, second = read_mwm(str(written_by_astropy(tmp_path / name_of("visit"), rows, **more))).records
    assert (first.visit.fiber, first.visit.mjd) == (-1, -1)
    # There are 196,608 pixels.
    assert first.star.healpix == (number if number == 99999 else -1)
    found = {name: getattr(first.measured, name) for name in names} | {"snr": first.snr}
    allowed = {"v_rad": -1, "bc": -1} if number == -1 else {}
    assert {name: value for name, value in found.items() if value is not None and value == value} == allowed
    assert {getattr(second.measured, name) for name in names} == {1}
    assert (second.snr, second.visit.fiber, second.visit.mjd) == (1, 1, 1)


@pytest.mark.parametrize("position", [-9999.99, 999999.0, "NaN"])
def test_a_position_that_is_none_is_null(
    position: float | str, apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:1]
    (record,) = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows, cards={"RA": position}))).records
    assert np.isnan(record.ra)
    assert record.dec == -66.59794


@pytest.mark.parametrize("number", [2**53 + 1, 2**62 + 1, 2**63 - 1])
def test_identifiers_are_exact(number: int, apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:2]
    more = {"spectrum_pk": np.array([number, number - 1]), "sdss_id": np.array([number, number], "u8")}
    records = read_mwm(str(written_by_astropy(tmp_path / name_of("visit"), rows, **more))).records
    assert [record.spectrum_pk for record in records] == [number, number - 1]
    assert [record.sdss_id for record in records] == [number, number]
    floats = {name: column.astype(float) for name, column in more.items()}
    for record in read_mwm(str(written_by_astropy(tmp_path / name_of("visit"), rows, **floats))).records:
        assert (record.spectrum_pk, record.sdss_id) == (-1, -1)


def test_text_that_is_not_ascii_is_told(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:1]
    rows["plate"] = b"\xe9"
    (record,) = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows))).records
    assert (record.reason, record.hdu) == (Reason.BAD_LAYOUT, 3)
    assert "column plate holds" in record.text


def test_scaled_pixels_are_scaled(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")[:1]
    path = written_by_astropy(tmp_path / name_of("visit"), rows)
    plain = read_mwm(str(path))
    with fits.open(path, mode="update") as file:
        cards = file[3].header
        number = next(n for n in range(1, 50) if cards[f"TTYPE{n}"] == "flux")
        cards[f"TSCAL{number}"], cards[f"TZERO{number}"] = 2.0, 1.0
    np.testing.assert_allclose(read_mwm(str(path)).flux, 2 * plain.flux + 1, rtol=1e-6)


def test_columns_of_variable_length_are_refused_before_they_are_read(
    apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    """A descriptor of 8 bytes may claim any length: such a file of 100 kB once took 2.2 GB."""
    rows = rows_like(apstars["sdss5"], "star")
    for name in ("flux", "snr", "obj"):
        path = write_mwm(tmp_path / name_of("star"), rows)
        content = path.read_bytes()
        hdu = content.index(b"APOGEE/APO")
        number = 1 + list(rows.dtype.names).index(name)
        at = content.index(f"TFORM{number:<3d}=".encode(), content.rindex(b"XTENSION", 0, hdu))
        # 10 bytes of text become a descriptor of 8 and two that nothing describes, and so on.
        card = f"TFORM{number:<3d}= '1PE(99999999)'".ljust(80).encode()
        path.write_bytes(content[:at] + card + content[at + 80 :])
        record = read_mwm(str(path)).records[0]
        assert record.reason in (Reason.BAD_LAYOUT, Reason.UNREADABLE, Reason.TRUNCATED), record
    with fitsio.FITS(str(tmp_path / name_of("star")), "rw", clobber=True) as file:
        file.write(None)
        for extension in ("BOSS/APO", "BOSS/LCO"):
            file.create_table_hdu(names=[], formats=[], extname=extension)
        table = np.zeros(2, [("telescope", "S6"), ("obj", "S9"), ("flux", "O"), ("ivar", "O")])
        table["flux"] = table["ivar"] = [np.ones(PIXELS, "f4"), np.ones(5, "f4")]
        file.write(table, extname="APOGEE/APO")
        file.create_table_hdu(names=[], formats=[], extname="APOGEE/LCO")
    record = read_mwm(str(tmp_path / name_of("star"))).records[0]
    assert (record.reason, record.text) == (
        Reason.BAD_LAYOUT,
        "columns of HDU 3 have rows of variable length: flux, ivar",
    )


@pytest.mark.parametrize("rows", [10**6, 2**31, 2**53, 2**62, 10**18])
def test_a_number_of_rows_that_the_file_cannot_hold(
    rows: int, apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    path = write_mwm(tmp_path / name_of("star"), rows_like(apstars["sdss5"], "star"))
    content = path.read_bytes()
    at = content.index(b"NAXIS2  =", content.rindex(b"XTENSION", 0, content.index(b"APOGEE/APO")))
    path.write_bytes(content[:at] + f"NAXIS2  = {rows:>20d}".ljust(80).encode() + content[at + 80 :])
    record = read_mwm(str(path)).records[0]
    assert record.reason in (Reason.TRUNCATED, Reason.BAD_LAYOUT, Reason.UNREADABLE)


def test_missing_pixels_and_dead_spectra(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")
    rows["ivar"][0, :5] = [0, -1, np.nan, np.inf, 4]
    rows["flux"][1] = 0
    batch = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows)))
    assert batch.error[0, :5].tolist() == [np.inf, np.inf, np.inf, 0, 0.5]
    assert [record.reason for record in batch.records] == [None, Reason.NO_DATA, None]


def test_any_name_is_recognised_by_its_tables(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    path = write_mwm(tmp_path / "my_star.fits", rows_like(apstars["dr17"], "star"))
    assert has_mwm_tables(str(path))
    assert not has_mwm_tables(apstars["dr17"].records[0].path)
    assert not has_mwm_tables(str(write_mwm(tmp_path / "nothing.fits")))
    assert not has_mwm_tables(str(tmp_path / "gone.fits"))


def test_broken_files_have_a_row_and_a_reason(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["sdss5"], "star")
    whole = write_mwm(tmp_path / "whole.fits", rows).read_bytes()
    who = [("telescope", "S6"), ("obj", "S9")]
    short = np.zeros(1, [*who, ("flux", "f4", (8000,)), ("ivar", "f4", (8000,))])
    bare = np.zeros(1, [("flux", "f4", (PIXELS,))])
    whole_numbers = np.zeros(1, [*who, ("flux", "i4", (PIXELS,)), ("ivar", "f4", (PIXELS,))])
    image = tmp_path / "image.fits"
    with fitsio.FITS(str(image), "rw") as file:
        for _ in range(5):
            file.write(np.zeros((2, 3), "f4"))
    cases = {
        b"": Reason.EMPTY_FILE,
        b"text": Reason.NOT_FITS,
        whole[:2880]: Reason.BAD_LAYOUT,
        whole[:5000]: Reason.TRUNCATED,
        whole[:-5000]: Reason.TRUNCATED,
        write_mwm(tmp_path / "short.fits", short).read_bytes(): Reason.BAD_LAYOUT,
        write_mwm(tmp_path / "bare.fits", bare).read_bytes(): Reason.BAD_LAYOUT,
        write_mwm(tmp_path / "whole_numbers.fits", whole_numbers).read_bytes(): Reason.BAD_LAYOUT,
        image.read_bytes(): Reason.BAD_LAYOUT,
    }
    path = tmp_path / name_of("star")
    for content, reason in cases.items():
        path.write_bytes(content)
        batch = read_mwm(str(path))
        assert [record.reason for record in batch.records] == [reason], batch.records
        record = batch.records[0]
        assert (record.product, record.row, record.sdss_id, record.path) == ("star", -1, SDSS_ID, str(path))
        assert record.text
        assert np.isnan(batch.flux).all()
    path.unlink()
    assert read_mwm(str(path)).records[0].reason is Reason.MISSING_FILE


def test_columns_of_strange_types_say_nothing(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    rows = rows_like(apstars["dr17"], "visit")
    strange = [("mjd", "f8"), ("fiber", "i4", (2,)), ("healpix", "S5"), ("snr", "c8"), ("plate", "i4")]
    names = {name for name, *_ in strange}
    dtype = [(name, rows.dtype[name]) for name in rows.dtype.names if name not in names]
    changed = np.zeros(len(rows), [*dtype, *strange])
    for name, _ in dtype:
        changed[name] = rows[name]
    changed["mjd"], changed["plate"] = [np.nan, 56_000, np.inf], 5215
    batch = read_mwm(str(write_mwm(tmp_path / name_of("visit"), changed)))
    assert [record.visit.mjd for record in batch.records] == [-1, 56_000, -1]
    assert {(record.visit.fiber, record.star.healpix, record.visit.plate) for record in batch.records} == {
        (-1, -1, "5215")
    }
    assert np.isnan([record.snr for record in batch.records]).all()
    assert len({record.identity for record in batch.records}) == 3


@pytest.fixture(scope="module")
def sound(apstars: dict[str, SpectrumBatch], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of an mwmVisit file; written once, because the library that writes trips over what it has read."""
    return write_mwm(
        tmp_path_factory.mktemp("sound") / name_of("visit"), rows_like(apstars["dr17"], "visit")
    ).read_bytes()


def test_a_sound_file_after_a_damaged_one_is_read(sound: bytes, tmp_path: Path) -> None:
    """The library once handed out bytes of the damaged file at the end of the next one."""
    damaged, good = tmp_path / name_of("visit"), tmp_path / "good.fits"
    good.write_bytes(sound)
    change = b" \x99\x00     \x81\x99\x99\xff$T \x99\xe9\xff\x00\xa6\xff \xff \xff\x1d\xff\xff\xda\xff"
    for place in range(12_360, 12_440, 2):
        damaged.write_bytes(sound[:place] + change + sound[place + len(change) :])
        read_mwm(str(damaged))
        assert has_mwm_tables(str(good))
        read_mwm(str(damaged))
        assert read_mwm(str(good)).usable.all(), place


@settings(max_examples=60, deadline=None)
@given(position=st.floats(0, 1), change=st.binary(min_size=1, max_size=80), cut=st.one_of(st.none(), st.floats(0, 1)))
def test_damage_gives_rows_and_never_an_exception(
    position: float,
    change: bytes,
    cut: float | None,
    sound: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("damage") / name_of("visit")
    content = bytearray(sound)
    # Headers are where damage can mislead; the last of these begins at about 17 kB.
    start = int(position * 40_000)
    content[start : start + len(change)] = change
    path.write_bytes(bytes(content if cut is None else content[: int(cut * len(content))]))
    batch = read_mwm(str(path))
    assert batch.flux.shape == batch.error.shape == (len(batch), PIXELS)
    assert all(record.path == str(path) for record in batch.records)


@pytest.mark.parametrize("kind", ["?", "i2"])
def test_visits_of_the_stack_are_marked(kind: str, apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    """mwmVisit files of Astra 0.8 tell which visits the coadd has; earlier ones do not."""
    rows = rows_like(next(iter(apstars.values())), "visit")
    later = np.zeros(len(rows), [*rows.dtype.descr, ("in_stack", kind)])
    for name in rows.dtype.names or ():
        later[name] = rows[name]
    later["in_stack"][0] = 1
    records = read_mwm(str(write_mwm(tmp_path / name_of("visit"), later))).records
    assert [record.measured.in_stack for record in records] == [1] + [0] * (len(rows) - 1)
    earlier = read_mwm(str(write_mwm(tmp_path / name_of("visit"), rows))).records
    assert {record.measured.in_stack for record in earlier} == {None}


@pytest.mark.parametrize("form", ["HIERARCH {} = {}", "HIERARCH  {}= {}", "{}= {}", "{}={}"])
@pytest.mark.parametrize(("key", "value"), [("TSCAL", "2.0"), ("TZERO", "1.0")])
def test_odd_forms_do_not_scale_a_column(
    form: str, key: str, value: str, apstars: dict[str, SpectrumBatch], tmp_path: Path
) -> None:
    """The library obeys them, and used to double the flux."""
    path = write_mwm(tmp_path / name_of("star"), rows_like(apstars["dr17"], "star"))
    with fitsio.FITS(str(path)) as fits:
        column = [name.lower() for name in fits[3].get_colnames()].index("flux") + 1
    hdus = split(path.read_bytes())
    hdus[3][0].insert(-1, form.format(f"{key}{column}", value).ljust(80).encode())
    path.write_bytes(joined(hdus))
    (record,) = read_mwm(str(path)).records
    assert (record.reason, record.hdu) == (Reason.BAD_LAYOUT, 3)
    assert f"{key}{column}" in record.text


def test_bytes_behind_the_last_table_may_be_its_rows(apstars: dict[str, SpectrumBatch], tmp_path: Path) -> None:
    path = write_mwm(tmp_path / name_of("star"), None, rows_like(apstars["dr17"], "star"))
    content = path.read_bytes()
    hdus = split(content)
    start = len(content) - len(hdus[4][1])
    path.write_bytes(content[:start] + bytes(2880) + content[start:])
    assert [record.reason for record in read_mwm(str(path)).records] == [Reason.BAD_LAYOUT]
