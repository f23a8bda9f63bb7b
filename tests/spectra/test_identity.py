"""Who a spectrum is: names of every generation, headers where a name says nothing, and the noise identity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.spectra.header import PrimaryHeader
from apnet_fast.spectra.identity import (
    FileName,
    StarIdentity,
    identify,
    parse_file_name,
    parse_visit_name,
)

SOUTH = "2M03174068-7748459"
NORTH = "2M19085185+5058401"


def header(**cards: str | int) -> PrimaryHeader:
    return PrimaryHeader({key: f"'{v}'" if isinstance(v, str) else str(v) for key, v in cards.items()})


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (f"apStar-r5-{NORTH}.fits", FileName("ap", "r5", "", NORTH, "", True)),
        (f"apStar-r12-{NORTH}.fits", FileName("ap", "r12", "", NORTH, "", True)),
        (f"asStar-r12-{SOUTH}.fits", FileName("as", "r12", "", SOUTH, "", True)),
        (f"apStar-dr17-{NORTH}.fits", FileName("ap", "dr17", "", NORTH, "", True)),
        (f"apStar-dr17-{SOUTH}.fits", FileName("ap", "dr17", "", SOUTH, "", True)),
        (f"asStar-dr17-{SOUTH}.fits", FileName("as", "dr17", "", SOUTH, "", True)),
        ("apStar-dr17-VESTA.fits", FileName("ap", "dr17", "", "VESTA", "", True)),
        (f"apStar-1.3-apo25m-{NORTH}.fits", FileName("ap", "1.3", "apo25m", NORTH, "", True)),
        (f"apStar-1.3-apo25m-{NORTH}-59500.fits", FileName("ap", "1.3", "apo25m", NORTH, "59500", True)),
        (f"apStar-1.3-lco25m-{SOUTH}.fits", FileName("ap", "1.3", "lco25m", SOUTH, "", True)),
        (f"apStar-1.3-lco25m-{SOUTH}-59500.fits", FileName("ap", "1.3", "lco25m", SOUTH, "59500", True)),
        ("apStar-1.2-apo1m-VESTA-59500.fits", FileName("ap", "1.2", "apo1m", "VESTA", "59500", True)),
    ],
)
def test_name_of_a_star_gives_its_parts(name: str, parts: FileName) -> None:
    assert parse_file_name(name) == parts


@pytest.mark.parametrize(
    "name", ["star.fits", "apStarD-r5-x.fits", "apStar-r5.fits", f"apStar-r5-{NORTH}.fits.bz2", "mwmStar-0.6.0-1.fits"]
)
def test_other_names_are_not_standard(name: str) -> None:
    parts = parse_file_name(name)
    assert not parts.standard
    assert parts.prefix == parts.apred == parts.telescope == parts.starver == ""


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("stem", [f"apStar-r5-{NORTH}", f"apStar-1.3-lco25m-{SOUTH}-59500", "mine"])
def test_a_compressed_file_is_the_plain_one(stem: str, suffix: str) -> None:
    assert parse_file_name(stem + suffix) == parse_file_name(stem + ".fits")
    assert identify(stem + suffix, header()) == identify(stem + ".fits", header())


@pytest.mark.parametrize("prefix", ["ap", "as"])
def test_commissioning_spectra_are_told_apart_from_those_of_the_survey(prefix: str) -> None:
    commissioning, survey = (identify(f"{prefix}Star{c}-r5-{NORTH}.fits", header()) for c in ("C", ""))
    assert commissioning == replace(survey, commissioning=True)
    for visit in ("", "apVisit-r5-6098-56438-117.fits"):
        assert commissioning.spectrum(visit) != survey.spectrum(visit)
    # The identities of the survey's spectra are what they were before.
    assert survey.spectrum() == f"dr12/r5/{'apo25m' if prefix == 'ap' else 'lco25m'}//{NORTH}/coadd"


def test_folder_says_nothing_about_the_name() -> None:
    folder = f"/redux/apStar-1.3-lco25m-{SOUTH}-59500.fits/apo1m"
    assert parse_file_name(f"{folder}/apStar-r5-{NORTH}.fits") == parse_file_name(f"apStar-r5-{NORTH}.fits")


def test_bytes_of_a_name_that_are_not_utf8_become_escapes() -> None:
    name = b"apStar-dr17-\xff\xe9.fits".decode("utf-8", "surrogateescape")
    assert parse_file_name(name).obj == r"\xff\xe9"


@pytest.mark.parametrize(
    ("name", "plate", "mjd", "fiber", "reduction"),
    [
        ("apVisit-r5-6098-56438-117.fits", "6098", 56438, 117, ""),
        ("apVisit-dr17-10229-58002-001.fits", "10229", 58002, 1, ""),
        ("asVisit-dr17-9753-58000-300.fits", "9753", 58000, 300, ""),
        ("apVisit-1.3-apo25m-15000-59600-123.fits", "15000", 59600, 123, ""),
        ("apVisit-1.3-lco25m-15001-59601-124.fits", "15001", 59601, 124, ""),
        ("apVisit-dr17-56789-VESTA.fits", "", 56789, -1, "VESTA"),
        ("apVisit-dr17-56789.25-VESTA.fits", "", 56789, -1, "VESTA"),
        (f"apVisit-dr17-56789.1-{SOUTH}.fits", "", 56789, -1, SOUTH),
        ("something.fits", "", -1, -1, ""),
        ("", "", -1, -1, ""),
    ],
)
def test_name_of_a_visit_gives_its_parts(name: str, plate: str, mjd: int, fiber: int, reduction: str) -> None:
    visit = parse_visit_name(name)
    assert (visit.file, visit.plate, visit.mjd, visit.fiber, visit.reduction) == (name, plate, mjd, fiber, reduction)


@pytest.mark.parametrize(
    ("name", "prefix", "apred", "telescope"),
    [
        ("apVisit-r5-6098-56438-117.fits", "ap", "r5", "apo25m"),
        ("asVisit-dr17-9753-58000-300.fits", "as", "dr17", "lco25m"),
        ("apVisit-1.3-lco25m-15001-59601-124.fits", "ap", "1.3", "lco25m"),
        ("apVisit-dr17-56789.25-VESTA.fits", "ap", "dr17", "apo1m"),
        ("apVisit-1.3-apo1m-56789-VESTA.fits", "ap", "1.3", "apo1m"),
        ("something.fits", "", "", ""),
    ],
)
def test_name_of_a_visit_gives_reduction_and_telescope(name: str, prefix: str, apred: str, telescope: str) -> None:
    visit = parse_visit_name(name)
    assert (visit.prefix, visit.apred, visit.telescope) == (prefix, apred, telescope)


def test_visit_name_drops_a_folder() -> None:
    name = "apVisit-r5-6098-56438-117.fits"
    assert parse_visit_name(f"visit/apo25m/{name}") == parse_visit_name(name)


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("apStar-s3-X.fits", "dr10"),
        ("apStar-r3-X.fits", "dr10"),
        ("apStar-r5-X.fits", "dr12"),
        ("apStar-r6-X.fits", "dr13"),
        ("apStar-r8-X.fits", "dr14"),
        ("apStar-r12-X.fits", "dr16"),
        ("asStar-dr17-X.fits", "dr17"),
        ("apStar-1.3-apo25m-X.fits", "sdss5"),
        ("apStar-1.4-lco25m-X.fits", "sdss5"),
        ("apStar-daily-apo25m-X.fits", "sdss5"),
        ("apStar-l33-X.fits", ""),
        ("X.fits", ""),
    ],
)
def test_release_follows_from_the_name_alone(name: str, release: str) -> None:
    assert identify(name, header()).release == release


@pytest.mark.parametrize("card", ["APRED", "V_APRED"])
def test_release_of_an_unknown_reduction_follows_from_the_header(card: str) -> None:
    assert identify("apStar-new-X.fits", header(**{card: "new"})).release == "sdss5"


@pytest.mark.parametrize(
    ("name", "cards", "telescope"),
    [
        ("apStar-dr17-X.fits", {"SFILE1": "apVisit-dr17-10229-58002-001.fits"}, "apo25m"),
        ("apStar-dr17-VESTA.fits", {"SFILE1": "apVisit-dr17-56789.2-VESTA.fits"}, "apo1m"),
        ("apStar-dr17-X.fits", {}, "apo25m"),
        ("asStar-dr17-X.fits", {}, "lco25m"),
        ("apStar-r12-X.fits", {"TELESCOP": "apo1m"}, "apo1m"),
        ("apStar-1.3-lco25m-X.fits", {}, "lco25m"),
        ("apStar-1.3-lco25m-X.fits", {"TELESCOP": "apo25m"}, "lco25m"),
        ("renamed.fits", {"TELESCOP": "apo25m"}, "apo25m"),
        ("renamed.fits", {}, ""),
    ],
)
def test_telescope_from_name_header_or_visits(name: str, cards: dict[str, str], telescope: str) -> None:
    assert identify(name, header(**cards)).telescope == telescope


def test_renamed_file_is_known_by_its_header() -> None:
    cards = header(OBJID=NORTH, APRED="1.3", HEALPIX=1234, TELESCOP="apo25m", STARVER="59500", FIELD="")
    assert identify("copy of a star.fits", cards) == StarIdentity(
        "sdss5", "1.3", "apo25m", "", 1234, "", NORTH, "59500"
    )


@pytest.mark.parametrize(
    ("name", "visit"),
    [
        (f"apStar-dr17-{NORTH}.fits", "apVisit-dr17-10229-58002-001.fits"),
        (f"asStar-dr17-{NORTH}.fits", "asVisit-dr17-10229-58002-001.fits"),
        (f"apStar-dr17-{NORTH}.fits", "apVisit-dr17-58002-VESTA.fits"),
        (f"apStar-1.3-lco25m-{NORTH}.fits", "apVisit-1.3-lco25m-15001-59601-124.fits"),
    ],
)
def test_renaming_a_file_changes_nothing(name: str, visit: str) -> None:
    cards = header(OBJID=NORTH, FIELD="K05", SFILE1=visit, **({"APRED": "1.3"} if "1.3" in name else {}))
    assert identify("copy.fits", cards) == identify(name, cards)


def test_renamed_file_without_object_in_its_header_is_known_by_its_name() -> None:
    assert identify("/a/b/copy.fits", header()).obj == "copy"


def test_name_wins_over_the_header_for_reduction_and_object() -> None:
    who = identify(f"apStar-dr17-{NORTH}.fits", header(OBJID="other", APRED="1.3", FIELD="K05"))
    assert (who.apred, who.obj, who.field) == ("dr17", NORTH, "K05")


def test_starver_of_the_header_completes_a_name_without_one() -> None:
    assert identify(f"apStar-1.3-apo25m-{NORTH}.fits", header(STARVER="59500")).starver == "59500"


def noise_identity(path: str, visit: str = "", **cards: str | int) -> str:
    return identify(path, header(**cards)).spectrum(visit)


BASE = f"apStar-1.3-apo25m-{NORTH}.fits"


@pytest.mark.parametrize(
    ("path", "visit", "cards"),
    [
        (BASE, "", {"HEALPIX": 2}),
        (BASE, "", {}),
        (BASE, "", {"HEALPIX": 1, "FIELD": "K05"}),
        (BASE, "apVisit-1.3-apo25m-1-59500-001.fits", {"HEALPIX": 1}),
        (BASE.replace("1.3", "1.4"), "", {"HEALPIX": 1}),
        (BASE.replace("apo25m", "lco25m"), "", {"HEALPIX": 1}),
        (BASE.replace(NORTH, SOUTH), "", {"HEALPIX": 1}),
        (f"apStar-dr17-{NORTH}.fits", "", {"HEALPIX": 1}),
    ],
)
def test_noise_identity_differs_with(path: str, visit: str, cards: dict[str, str | int]) -> None:
    assert noise_identity(path, visit, **cards) != noise_identity(BASE, HEALPIX=1)


@pytest.mark.parametrize("visit", ["", "apVisit-1.3-apo25m-1-59500-001.fits"])
@pytest.mark.parametrize(
    "path",
    [f"/elsewhere/1/2/{BASE}", f"./{BASE}", BASE.replace(".fits", "-59500.fits"), BASE.replace(".fits", "-59999.fits")],
)
def test_noise_identity_knows_neither_folder_nor_starver(path: str, visit: str) -> None:
    assert noise_identity(path, visit, HEALPIX=1) == noise_identity(BASE, visit, HEALPIX=1)


def test_noise_identity_of_a_visit_ends_in_its_file_name() -> None:
    visit = "apVisit-dr17-10229-58002-001.fits"
    who = identify(f"apStar-dr17-{NORTH}.fits", header(FIELD="K05", SFILE1=visit))
    assert who.spectrum(visit) == f"dr17/dr17/apo25m/K05/{NORTH}/{visit}"


def test_healpix_zero_is_a_place() -> None:
    assert noise_identity(BASE, HEALPIX=0) == f"sdss5/1.3/apo25m/0/{NORTH}/coadd"
