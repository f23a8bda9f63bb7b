"""Files that a survey run must survive, each with its difference from an ordinary file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from apnet_fast.simulate.header_cards import HeaderCard
from apnet_fast.simulate.layouts import DR17_BAD_ERROR, LEGACY_BAD_ERROR, Layout
from apnet_fast.simulate.pixels import PixelBit
from apnet_fast.simulate.population import Field, Star, make_field
from apnet_fast.simulate.rows import Planes
from apnet_fast.simulate.visits import Visit

ALL_LAYOUTS = ("legacy", "dr17", "sdss5")
TRUNCATED_SHARE = 0.10
"""A file is cut within HDU 1, so that no row has both flux and error."""
WRONG_LENGTH = 8000


@dataclass(frozen=True)
class EdgeCase:
    """One edge case: a star's file, changed at some stage of its making.

    name: value of the truth table's column `case`. field: where the star is, or None for any
    northern field. star, visits: change what is observed. planes: changes the arrays in
    place. cards: changes the PRIMARY header. file: damages the finished file. versions:
    number of STARVERs side by side. readable: False if no reader can get a spectrum out.
    """

    name: str
    layouts: tuple[str, ...] = ALL_LAYOUTS
    n_visits: int = 3
    snr: float = 100.0
    field: Field | None = None
    star: Callable[[Star], Star] | None = None
    visits: Callable[[list[Visit]], list[Visit]] | None = None
    planes: Callable[[Planes, Layout], None] | None = None
    cards: Callable[[list[HeaderCard]], list[HeaderCard]] | None = None
    file: Callable[[Path, Layout], None] | None = None
    versions: int = 1
    readable: bool = True


ORDINARY = EdgeCase(name="")


def cases_of(layout: Layout) -> list[EdgeCase]:
    """Return the edge cases that make sense in `layout`, in a fixed order."""
    return [case for case in _EDGE_CASES if layout.name in case.layouts]


def _at_magnitude(h_mag: float) -> Callable[[Star], Star]:
    def change(star: Star) -> Star:
        offset = h_mag - star.h_mag
        return replace(star, h_mag=h_mag, j_mag=star.j_mag + offset, k_mag=star.k_mag + offset)

    return change


def _vesta(star: Star) -> Star:
    """Observe reflected sunlight through the 1-m telescope's fibre, at the flux that such files have."""
    star = _at_magnitude(-8.3)(star)
    return replace(
        star, obj="VESTA", telescope="apo1m", field="standards", teff=5772.0, logg=4.44, fe_h=0.0, vsini=1.6, v_rad=0.0
    )


def _second_visit_dead(visits: list[Visit]) -> list[Visit]:
    return [replace(visit, dead=number == 1) for number, visit in enumerate(visits)]


def _all_visits_dead(visits: list[Visit]) -> list[Visit]:
    return [replace(visit, dead=True) for visit in visits]


def _whole_blue_chip_persistent(visits: list[Visit]) -> list[Visit]:
    return [replace(visit, persistence=1.0) for visit in visits]


def _all_nan(planes: Planes, layout: Layout) -> None:
    planes.flux[:] = np.nan
    planes.error[:] = np.nan


def _negative_flux(planes: Planes, layout: Layout) -> None:
    """Subtract more sky than there is star, so that most pixels are negative; "no data" stays as it is."""
    has_data = _has_data(planes)
    planes.flux[has_data] -= 1.3 * np.median(planes.flux[has_data])


def _all_errors_bad(planes: Planes, layout: Layout) -> None:
    has_data = _has_data(planes)
    if layout.name == "legacy":
        planes.error[:] = LEGACY_BAD_ERROR
    elif layout.name == "dr17":
        planes.error[has_data] = DR17_BAD_ERROR * np.median(planes.flux[has_data])
    else:
        planes.error[:] = 0.0
    planes.mask[has_data] |= int(PixelBit.BADERR)


def _has_data(planes: Planes) -> np.ndarray:
    return np.isfinite(planes.flux) & (planes.flux != 0)


def _eight_thousand_pixels(planes: Planes, layout: Layout) -> None:
    for name, values in vars(planes).items():
        setattr(planes, name, np.ascontiguousarray(values[:, :WRONG_LENGTH]))


def _without_visit_files(cards: list[HeaderCard]) -> list[HeaderCard]:
    return [card for card in cards if not card.name.startswith("SFILE")]


def _nan_strings(cards: list[HeaderCard]) -> list[HeaderCard]:
    """Write the strings that the SDSS-V writer leaves if a velocity fit failed."""
    failed = ("SNR", "VRAD", "VREL", "VSCATTER", "VERR", "RV_TEFF", "RV_LOGG", "RV_FEH", "CHISQ")
    return [replace(card, value="NaN") if card.name.rstrip("0123456789") in failed else card for card in cards]


def _truncate(path: Path, layout: Layout) -> None:
    os.truncate(path, int(TRUNCATED_SHARE * path.stat().st_size))


TEXT_FILE = "404 Not Found: this is a text file with the name of a FITS file.\n"
"""What the case `text_file` holds."""


def _text(path: Path, layout: Layout) -> None:
    path.write_text(TEXT_FILE)


def _empty(path: Path, layout: Layout) -> None:
    path.write_bytes(b"")


def _leave_dangling_link(path: Path, layout: Layout) -> None:
    """Remove the file and leave a symlink to it; in sdss5 the link is the name without STARVER."""
    path.unlink()
    if layout.name != "sdss5":
        path.symlink_to(f"{path.stem}-moved.fits")


_EDGE_CASES = (
    EdgeCase("single_visit", n_visits=1),
    EdgeCase("many_visits", n_visits=52),
    EdgeCase("dead_visit", visits=_second_visit_dead),
    EdgeCase("no_data", visits=_all_visits_dead),
    EdgeCase("all_nan", layouts=("dr17", "sdss5"), planes=_all_nan),
    EdgeCase("negative_flux", star=_at_magnitude(13.5), snr=10.0, planes=_negative_flux),
    EdgeCase("bright", star=_at_magnitude(6.0), snr=800.0),
    EdgeCase("faint", star=_at_magnitude(15.0), snr=4.0),
    EdgeCase("all_errors_bad", planes=_all_errors_bad),
    EdgeCase("persistence", layouts=("legacy", "dr17"), visits=_whole_blue_chip_persistent),
    EdgeCase("no_sfile", cards=_without_visit_files),
    EdgeCase("nan_header", layouts=("sdss5",), cards=_nan_strings),
    EdgeCase("several_versions", layouts=("sdss5",), versions=2),
    EdgeCase("as_star", layouts=("dr17",), field=make_field(49.4, -77.8)),
    EdgeCase("one_metre", layouts=("dr17",), n_visits=2, snr=400.0, star=_vesta),
    EdgeCase("wrong_length", planes=_eight_thousand_pixels, readable=False),
    EdgeCase("truncated", file=_truncate, readable=False),
    EdgeCase("text_file", file=_text, readable=False),
    EdgeCase("empty", file=_empty, readable=False),
    EdgeCase("missing", file=_leave_dangling_link, readable=False),
)
