"""The three generations of apStar files: dtypes, "no data" codes, paths and names.

Each generation is one `Layout`. The facts come from the code that writes such files: the IDL
pipeline (here DR14's r8), sdss/apogee 0.17.22 (DR17) and sdss/apogee_drp (SDSS-V, apred 1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from apnet_fast.simulate.population import Star
from apnet_fast.simulate.visits import Visit
from apnet_fast.support.errors import UsageError

LEGACY_BAD_ERROR = 1e10
"""The IDL pipeline writes this error for a pixel without data."""

DR17_BAD_ERROR = 1e10
"""The same in units of the continuum. DR17 multiplies the continuum back, so files hold 1e12 to 4e13."""


@dataclass(frozen=True)
class Layout:
    """How one generation writes a star.

    coadd_gap_flux, coadd_gap_error: values of pixels without data in rows 0 and 1.
    visit_gap_flux, visit_gap_error: the same in visit rows.
    gap_mask: mask value of such pixels.
    gap_if_any: a coadd pixel is a gap if any visit lacks it, not only if all do.
    primary_bitpix_dtype: the type that an HDU without data claims to have.
    extension_names, units: EXTNAME of HDUs 1-9 and BUNIT of HDUs 1-7.
    first_mjd, last_mjd, southernmost_dec (degrees): when and where the survey observed.
    """

    name: str
    apred: str
    float_dtype: np.dtype[np.floating]
    mask_dtype: np.dtype[np.integer]
    primary_bitpix_dtype: np.dtype[np.integer]
    coadd_gap_flux: float
    coadd_gap_error: float
    visit_gap_flux: float
    visit_gap_error: float
    gap_mask: int
    gap_if_any: bool
    extension_names: tuple[str | None, ...]
    units: tuple[str, ...]
    first_mjd: int
    last_mjd: int
    southernmost_dec: float

    def rows(self, n_visits: int) -> int:
        """Return the number of rows of the image HDUs; a one-dimensional image (legacy, one visit) counts as 1."""
        if n_visits > 1:
            return n_visits + 2
        return 2 if self.name == "dr17" else 1

    def star_path(self, star: Star, visits: list[Visit]) -> PurePosixPath:
        """Return the path of the file itself below the tree; in sdss5 the name ends in STARVER."""
        if self.name == "sdss5":
            stem = f"{self._sdss5_stem(star)}-{star_version(visits)}"
            return self._sdss5_folder(star) / f"{stem}.fits"
        prefix = "as" if star.telescope == "lco25m" else "ap"
        name = f"{prefix}Star-{self.apred}-{star.obj}.fits"
        return PurePosixPath(self.apred, "stars", star.telescope, star.field, name)

    def link_path(self, star: Star) -> PurePosixPath | None:
        """Return the path of the symlink without STARVER (sdss5), or None in the other layouts."""
        if self.name != "sdss5":
            return None
        return self._sdss5_folder(star) / f"{self._sdss5_stem(star)}.fits"

    def visit_file(self, star: Star, visit: Visit) -> str:
        """Return the name of the apVisit file of a visit row: header keyword SFILEn."""
        if self.name == "sdss5":
            source = f"{self.apred}-{star.telescope}-{visit.plate}-{visit.mjd}-{visit.fiber:03d}"
            return f"apVisit-{source}.fits"
        if star.telescope == "apo1m":
            return f"apVisit-{self.apred}-{visit.mjd}-{star.obj}.fits"
        prefix = "as" if star.telescope == "lco25m" else "ap"
        return f"{prefix}Visit-{self.apred}-{visit.plate}-{visit.mjd}-{visit.fiber:03d}.fits"

    def _sdss5_folder(self, star: Star) -> PurePosixPath:
        healpix = star.healpix
        return PurePosixPath(self.apred, "stars", star.telescope, str(healpix // 1000), str(healpix))

    def _sdss5_stem(self, star: Star) -> str:
        return f"apStar-{self.apred}-{star.telescope}-{star.obj}"


def star_version(visits: list[Visit]) -> str:
    """Return STARVER of an SDSS-V apStar: the MJD of its last visit."""
    return str(max(visit.mjd for visit in visits))


_LEGACY_UNITS = (
    "Flux (10^-17 erg/s/cm^2/Ang)",
    "Error (10^-17 erg/s/cm^2/Ang)",
    "Flag Mask (bitwise)",
    "Sky (10^-17 erg/s/cm^2/Ang)",
    "Sky error (10^-17 erg/s/cm^2/Ang)",
    "Telluric",
    "Telluric error",
)
_UNITS = (_LEGACY_UNITS[0], "Err (10^-17 erg/s/cm^2/Ang)", "Pixel bitmask", *_LEGACY_UNITS[3:])

LAYOUTS = {
    "legacy": Layout(
        name="legacy",
        apred="r8",
        float_dtype=np.dtype("f4"),
        mask_dtype=np.dtype("i2"),
        primary_bitpix_dtype=np.dtype("i2"),
        coadd_gap_flux=0.0,
        coadd_gap_error=LEGACY_BAD_ERROR,
        visit_gap_flux=0.0,
        visit_gap_error=LEGACY_BAD_ERROR,
        gap_mask=1,
        gap_if_any=False,
        extension_names=(None,) * 9,
        units=_LEGACY_UNITS,
        first_mjd=55_800,
        last_mjd=57_600,
        southernmost_dec=-30.0,
    ),
    "dr17": Layout(
        name="dr17",
        apred="dr17",
        float_dtype=np.dtype("f8"),
        mask_dtype=np.dtype("i8"),
        primary_bitpix_dtype=np.dtype("u1"),
        coadd_gap_flux=np.nan,
        coadd_gap_error=np.nan,
        visit_gap_flux=0.0,
        visit_gap_error=0.0,
        gap_mask=0,
        gap_if_any=True,
        extension_names=(None,) * 9,
        units=_UNITS,
        first_mjd=55_800,
        last_mjd=59_160,
        southernmost_dec=-90.0,
    ),
    "sdss5": Layout(
        name="sdss5",
        apred="1.3",
        float_dtype=np.dtype("f8"),
        mask_dtype=np.dtype("i8"),
        primary_bitpix_dtype=np.dtype("u1"),
        coadd_gap_flux=np.nan,
        coadd_gap_error=0.0,
        visit_gap_flux=0.0,
        visit_gap_error=0.0,
        gap_mask=0,
        gap_if_any=True,
        extension_names=(
            "FLUX",
            "ERROR",
            "MASK",
            "SKY FLUX",
            "SKY ERROR",
            "TELLURIC",
            "TELLURIC ERROR",
            "LSF TABLE",
            "RV TABLE",
        ),
        units=_UNITS,
        first_mjd=59_200,
        last_mjd=60_130,
        southernmost_dec=-90.0,
    ),
}


def find_layout(name: str) -> Layout:
    """Return the layout called `name`; raise UsageError if there is none."""
    try:
        return LAYOUTS[name]
    except KeyError:
        raise UsageError(
            "There is no such apStar layout", got=repr(name), expected="one of " + ", ".join(LAYOUTS)
        ) from None
