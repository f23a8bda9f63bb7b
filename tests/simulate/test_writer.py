"""Files as written: HDUs, names, types on disk, headers and sizes, as other software sees them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.simulate.simulated_trees import Trees

SDSS5_NAMES = [
    *("PRIMARY", "FLUX", "ERROR", "MASK", "SKY FLUX", "SKY ERROR", "TELLURIC", "TELLURIC ERROR"),
    *("LSF TABLE", "RV TABLE"),
]
SHAPES = {
    ("legacy", 1): (8575,),
    ("legacy", 3): (5, 8575),
    ("dr17", 1): (2, 8575),
    ("dr17", 3): (5, 8575),
    ("sdss5", 1): (1, 8575),
    ("sdss5", 3): (5, 8575),
}


@pytest.mark.parametrize(("layout", "visits"), list(SHAPES))
def test_images_have_the_shape_and_type_of_their_generation(trees: Trees, layout: str, visits: int) -> None:
    float_type, mask_type = (">f4", ">i2") if layout == "legacy" else (">f8", ">i8")
    for path in trees.files(layout, visits):
        with fits.open(path) as hdus:
            hdus.verify("exception")
            for number in range(1, 8):
                data = hdus[number].data
                assert data.shape == SHAPES[layout, visits]
                assert data.dtype.str == (mask_type if number == 3 else float_type)
                assert "BZERO" not in hdus[number].header
                assert hdus[number].header["CRVAL1"] == 4.179
                assert hdus[number].header["CDELT1"] == 6e-6


@pytest.mark.parametrize("visits", [1, 3])
def test_hdus_after_the_images(trees: Trees, visits: int) -> None:
    with fits.open(trees.files("legacy", visits)[0]) as hdus:
        assert len(hdus) == 10
        assert hdus[0].header["BITPIX"] == 16
        assert hdus[8].data.shape == (26,)
        assert len(hdus[9].data) == 1
        assert hdus[9].data["CCF"].shape == ((1, 401) if visits == 1 else (1, visits + 2, 401))
    with fits.open(trees.files("dr17", visits)[0]) as hdus:
        assert len(hdus) == 11
        assert hdus[0].header["BITPIX"] == 8
        assert hdus[8].header["XTENSION"] == "IMAGE"
        assert hdus[8].header["NAXIS"] == 0
        assert (hdus[9].header["NAXIS1"], hdus[9].header["NAXIS2"]) == (24_696, visits)
        assert (hdus[10].header["NAXIS1"], hdus[10].header["NAXIS2"]) == (7_992, 1)
        assert hdus[9].data["ccf"].shape == (visits, 765)
    with fits.open(trees.files("sdss5", visits)[0]) as hdus:
        assert len(hdus) == 10
        assert (hdus[8].header["NAXIS1"], hdus[8].header["NAXIS2"], hdus[8].header["TFIELDS"]) == (0, 0, 0)
        assert (hdus[9].header["NAXIS1"], hdus[9].header["NAXIS2"]) == (19_644, visits)
        assert hdus[9].data["ccf"].shape == (visits, 801)


def test_extension_names(trees: Trees) -> None:
    names = {}
    for layout in ("legacy", "dr17", "sdss5"):
        with fits.open(trees.files(layout, 3)[0]) as hdus:
            names[layout] = [hdu.name for hdu in hdus]
    assert names["sdss5"] == SDSS5_NAMES
    assert set(names["legacy"][1:]) == set(names["dr17"][1:]) == {""}


def header_of(path: Path) -> fits.Header:
    return fits.getheader(path, 0)


@pytest.mark.parametrize("visits", [1, 3, 20])
def test_headers_hold_what_readers_look_up(trees: Trees, layout_name: str, visits: int) -> None:
    header = header_of(trees.files(layout_name, visits)[0])
    assert header["NVISITS"] == visits
    for name in ("OBJID", "SNR", "RA", "DEC", "GLON", "GLAT", "STARFLAG", "ANDFLAG", "VSCATTER", "MEANFIB"):
        assert name in header
    for n in range(1, visits + 1):
        for name in ("SFILE", "DATE", "JD", "FIBER", "BC", "VRAD", "SNRVIS", "FLAG"):
            assert f"{name}{n}" in header
    assert f"SFILE{visits + 1}" not in header
    assert "DATE" not in header


def test_headers_differ_between_generations_as_in_the_archive(trees: Trees) -> None:
    legacy, dr17, sdss5 = (header_of(trees.files(layout, 3)[0]) for layout in ("legacy", "dr17", "sdss5"))
    assert {"TELESCOP", "FIELD", "LOCID", "SURVEY", "HJD1", "VHELIO1"} <= set(legacy)
    assert {"FIELD", "NWAVE", "VHELIO1", "RV_TEFF"} <= set(dr17)
    assert not {"TELESCOP", "LOCID", "SURVEY", "HJD1"} & set(dr17)
    assert {"APRED", "STARVER", "HEALPIX", "HMAG", "VREL1"} <= set(sdss5)
    assert not {"TELESCOP", "FIELD"} & set(sdss5)
    assert sdss5["PLX"] == "NaN"


def test_vrad_is_the_doppler_shift_but_in_sdss5_barycentric(trees: Trees) -> None:
    names = {"legacy": ("VHELIO1", "VRAD1"), "dr17": ("VHELIO1", "VRAD1"), "sdss5": ("VRAD1", "VREL1")}
    for layout, (barycentric, doppler) in names.items():
        header = header_of(trees.files(layout, 3)[0])
        assert header[barycentric] == pytest.approx(header[doppler] + header["BC1"])
        assert abs(header["BC1"]) > 0


def test_names_of_visit_files(trees: Trees) -> None:
    patterns = {
        "legacy": r"apVisit-r8-\d{4}-\d{5}-\d{3}\.fits",
        "dr17": r"(ap|as)Visit-dr17-\d{4}-\d{5}-\d{3}\.fits",
        "sdss5": r"apVisit-1\.3-(apo25m|lco25m)-\d{4}-\d{5}-\d{3}\.fits",
    }
    for layout, pattern in patterns.items():
        header = header_of(trees.files(layout, 3)[0])
        names = [header[f"SFILE{n}"] for n in (1, 2, 3)]
        assert len(set(names)) == 3
        assert all(re.fullmatch(pattern, name) for name in names)


@pytest.mark.parametrize(
    ("layout", "visits", "size"),
    [
        ("legacy", 1, 279_360),
        ("legacy", 3, 1_189_440),
        ("dr17", 1, 1_045_000),
        ("dr17", 3, 2_550_000),
        ("dr17", 20, 11_200_000),
        ("sdss5", 1, 540_000),
        ("sdss5", 3, 2_520_000),
        ("sdss5", 20, 11_000_000),
    ],
)
def test_sizes_are_those_of_archive_files(trees: Trees, layout: str, visits: int, size: int) -> None:
    assert trees.files(layout, visits)[0].stat().st_size == pytest.approx(size, rel=0.025)


def test_header_snr_is_that_of_row_zero(trees: Trees, layout_name: str) -> None:
    with fits.open(trees.files(layout_name, 3)[0]) as hdus:
        flux, error = hdus[1].data[0], hdus[2].data[0]
        usable = np.isfinite(flux) & np.isfinite(error) & (error > 0) & (error != 1e10)
        assert hdus[0].header["SNR"] == pytest.approx(np.median(flux[usable] / error[usable]), rel=1e-6)
