"""Header cards of the three generations, from a star and its visits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.simulate.headers import HeaderCard, grid_cards, primary_cards, starflag, velocity_error
from apnet_fast.simulate.layouts import LAYOUTS
from tests.simulate.simulated_visits import STAR, VISIT


def cards(layout: str, coadd_snr: float = 90.0, **changes: float) -> dict[str, HeaderCard]:
    visits = [replace(VISIT, fiber=100, **changes), replace(VISIT, mjd=58_010, fiber=200)]
    return {card.name: card for card in primary_cards(STAR, visits, LAYOUTS[layout], coadd_snr)}


def test_the_grid_is_log_linear() -> None:
    values = {card.name: card.value for card in grid_cards()}
    assert (values["CRVAL1"], values["CDELT1"], values["CRPIX1"]) == (4.179, 6e-6, 1)


def test_flags_of_visits_are_joined() -> None:
    assert (starflag(VISIT), starflag(replace(VISIT, persistence=0.9))) == (0, 1 << 9)
    joined = cards("dr17", persistence=0.2)
    assert (joined["STARFLAG"].value, joined["ANDFLAG"].value, joined["FLAG1"].value) == (1 << 11, 0, 1 << 11)


def test_fibres_are_weighted_by_snr() -> None:
    assert cards("dr17")["MEANFIB"].value == pytest.approx(150.0)
    assert cards("dr17")["SIGFIB"].value == pytest.approx(70.7, abs=0.1)
    assert cards("dr17", snr=160.0)["MEANFIB"].value == pytest.approx(400.0 / 3.0)


@pytest.mark.parametrize(("layout", "expected"), [("sdss5", "NaN"), ("dr17", 0.0), ("legacy", 0.0)])
def test_no_header_holds_nan(layout: str, expected: object) -> None:
    assert cards(layout, coadd_snr=float("nan"))["SNR"].value == expected
    assert cards(layout, coadd_snr=90.0)["SNR"].value == 90.0


def test_velocity_errors_fall_with_snr() -> None:
    assert velocity_error(50.0) == pytest.approx(0.1)
    assert velocity_error(0.0) == 0.0
