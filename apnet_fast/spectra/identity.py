"""Find the identity of a spectrum from its file's name and header, never from its folder.

Source of the naming rules: SDSS data model, apStar/asStar and apVisit/asVisit, DR10 to DR19.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from apnet_fast.spectra.header import PrimaryHeader

HEALPIXELS, FIBERS = range(12 * 128**2), range(1000)
"""Numbers that HEALPix of nside 128, and fibres, may have; others (-9999, 999999) stand for "unknown"."""
_TELESCOPES = "apo25m|lco25m|apo1m"
FITS_SUFFIXES = (".fits", ".fits.gz", ".fits.fz")
"""Suffixes of the files that are read: plain, compressed by gzip, compressed by fpack."""

_SUFFIX = r"\.fits(?:\.gz|\.fz)?"
# apStarC and asStarC hold commissioning data, taken before MJD 55761.
_STAR_NAME = re.compile(
    rf"(?P<prefix>ap|as)Star(?P<commissioning>C?)-(?P<apred>[^-]+)-"
    rf"(?:(?P<telescope>{_TELESCOPES})-(?P<obj5>.+?)(?:-(?P<starver>\d{{5}}))?|(?P<obj>.+)){_SUFFIX}"
)
_VISIT_NAME = re.compile(
    rf"(?P<prefix>ap|as)Visit-(?P<apred>[^-]+)-(?:(?P<telescope>{_TELESCOPES})-)?"
    r"(?P<plate>[^-]+)-(?P<mjd>\d{5})-(?P<fiber>\d{3})\.fits"
)
# The 1-m telescope has no plates and no fibres; its MJD sometimes carries decimals.
_VISIT_NAME_1M = re.compile(
    r"(?P<prefix>ap)Visit-(?P<apred>[^-]+)-(?:(?P<telescope>apo1m)-)?"
    r"(?P<mjd>\d{5})(?:\.\d+)?-(?P<reduction>.+)\.fits"
)

# Data release of each reduction that wrote apStar files. Later, numeric ones are SDSS-V.
RELEASES = {
    "s3": "dr10",  # DR10 names carry the version of the combination instead
    "r3": "dr10",
    "r5": "dr12",
    "r6": "dr13",
    "r8": "dr14",
    "r12": "dr16",
    "dr17": "dr17",
}


@dataclass(frozen=True)
class FileName:
    """Hold the parts of an apStar file's name; an absent part is an empty string."""

    prefix: str = ""
    apred: str = ""
    telescope: str = ""
    obj: str = ""
    starver: str = ""
    standard: bool = False
    commissioning: bool = False


def printable(path: str) -> str:
    """Return a path as text. Bytes of a file name that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _last_part(path: str) -> str:
    """Return `PurePath(path).name`, quickly if the path ends in a plain name."""
    name = path.rpartition("/")[2]
    return name if name not in ("", ".") else PurePath(path).name


def parse_file_name(path: str) -> FileName:
    """Parse the name of an apStar or asStar file; `standard` is False if it follows no known rule."""
    name = _last_part(printable(path))
    match = _STAR_NAME.fullmatch(name)
    if match is None:
        return FileName(obj=without_fits_suffix(name))
    return FileName(
        prefix=match["prefix"],
        apred=match["apred"],
        telescope=match["telescope"] or "",
        obj=match["obj5"] or match["obj"],
        starver=match["starver"] or "",
        standard=True,
        commissioning=bool(match["commissioning"]),
    )


def without_fits_suffix(name: str) -> str:
    """Return a file name without the suffix of a FITS file, or else without its last suffix."""
    for suffix in FITS_SUFFIXES[::-1]:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return PurePath(name).stem


@dataclass(frozen=True)
class VisitName:
    """Hold the parts of a visit's file name (card SFILEn); an absent part is the catalogue's null."""

    file: str = ""
    prefix: str = ""
    apred: str = ""
    telescope: str = ""
    plate: str = ""
    mjd: int = -1
    fiber: int = -1
    reduction: str = ""


def parse_visit_name(file: str) -> VisitName:
    """Parse the name of an apVisit or asVisit file."""
    name = _last_part(file)
    match = _VISIT_NAME.fullmatch(name)
    if match is not None:
        telescope = match["telescope"] or ("lco25m" if match["prefix"] == "as" else "apo25m")
        plate, mjd, fiber = match["plate"], int(match["mjd"]), int(match["fiber"])
        return VisitName(name, match["prefix"], match["apred"], telescope, plate, mjd, fiber)
    match = _VISIT_NAME_1M.fullmatch(name)
    if match is not None:
        mjd, reduction = int(match["mjd"]), match["reduction"]
        return VisitName(name, match["prefix"], match["apred"], "apo1m", mjd=mjd, reduction=reduction)
    return VisitName(name)


@dataclass(frozen=True)
class StarIdentity:
    """Identify an apStar file by the catalogue's data product keywords.

    healpix is -1, and a string is empty, if neither name nor header give it. commissioning: an apStarC or asStarC file,
    whose spectra are not in the star's apStar file.
    """

    release: str
    apred: str
    telescope: str
    field: str
    healpix: int
    prefix: str
    obj: str
    starver: str
    commissioning: bool = False

    def spectrum(self, visit: str = "") -> str:
        """Return the string that keys the noise of the coadd, or of the visit with that file name.

        It holds release, apred, telescope, field or HEALPix, object and visit. Folder and STARVER are left out: the
        same visit in a later version of the star's file is the same spectrum.
        """
        place = self.field or (str(self.healpix) if self.healpix >= 0 else "")
        kind = ("commissioning",) if self.commissioning else ()
        return "/".join((self.release, self.apred, self.telescope, place, self.obj, *kind, visit or "coadd"))


def identify(path: str, header: PrimaryHeader) -> StarIdentity:
    """Find the identity from the file's name, completed from its header and from the first visit's name.

    The file's name wins for reduction, telescope and object, because catalogues and paths use it. A DR17 name does not
    tell the 2.5-m from the 1-m telescope at APO, and a DR17 header has no TELESCOP; the form of the visits' names
    tells them apart. An unreadable header counts as an empty one.
    """
    name = parse_file_name(path)
    first_visit = parse_visit_name(header.text("SFILE1"))
    apred = name.apred or header.text("APRED") or first_visit.apred
    prefix = name.prefix or first_visit.prefix
    site = {"ap": "apo25m", "as": "lco25m"}.get(prefix, "")
    return StarIdentity(
        release=_release(apred, sdss5=bool(header.text("APRED") or header.text("V_APRED") or name.telescope)),
        apred=apred,
        telescope=name.telescope or header.text("TELESCOP") or first_visit.telescope or site,
        field=header.text("FIELD"),
        healpix=header.integer("HEALPIX", HEALPIXELS),
        prefix=prefix,
        obj=name.obj if name.standard else header.text("OBJID") or name.obj,
        starver=header.text("STARVER") or name.starver,
        commissioning=name.commissioning,
    )


def _release(apred: str, sdss5: bool) -> str:
    if apred in RELEASES:
        return RELEASES[apred]
    return "sdss5" if sdss5 else ""
