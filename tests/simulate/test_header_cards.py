"""The numbers that headers state, measured on visits and rows."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.header_cards import grid_cards, image_cards, starflag, summarise, velocity_error
from apnet_fast.simulate.layouts import LAYOUTS
from apnet_fast.simulate.rows import lay_out
from tests.simulate.simulated_visits import STAR, observe_many, summary, visits


def test_the_grid_is_log_linear() -> None:
    values = {card.name: card.value for card in grid_cards()}
    assert (values["CRVAL1"], values["CDELT1"], values["CRPIX1"]) == (4.179, 6e-6, 1)
    assert [card.name for card in image_cards(LAYOUTS["dr17"], "x")] == [
        "CRVAL1",
        "CDELT1",
        "CRPIX1",
        "CTYPE1",
        "BUNIT",
    ]
    assert "DC-FLAG" in {card.name for card in image_cards(LAYOUTS["legacy"], "x")}


def test_flags_of_visits_are_joined() -> None:
    assert [starflag(visit) for visit in visits(persistence=(0.0, 0.2, 0.9))] == [0, 1 << 11, 1 << 9]
    of = summary("dr17", persistence=(0.0, 0.2, 0.2))
    assert (of.starflag, of.andflag) == (1 << 11, 0)
    assert summary("dr17", persistence=(0.2, 0.2, 0.2)).andflag == 1 << 11


def test_means_are_weighted_by_snr() -> None:
    of = summary("dr17", fiber=(100, 200, 300), v_rad=(0.0, 10.0, 20.0), snr=(80.0, 80.0, 160.0))
    assert of.mean_fiber == pytest.approx(225.0)
    assert of.mean_velocity == pytest.approx(12.5)
    assert of.fiber_scatter == pytest.approx(100.0)
    assert summary("dr17", fiber=(100,)).fiber_scatter == 0.0


def test_snr_of_rows_and_of_visits() -> None:
    of = summary("dr17", snr=(80.0, 80.0, 40.0))
    assert of.row_snr == pytest.approx((80.0, 80.0, 80.0), rel=0.05), "rows are as observed"
    assert of.visit_snr == pytest.approx((57.6, 57.6, 28.8))
    assert of.snr == pytest.approx(80.0 * np.sqrt(3.0), rel=0.1)
    assert of.snr_middle > of.snr, "the middle chip has no noisy edge of the red chip"
    assert summary("dr17", snr=(80.0,)).row_snr == (0.0,), "a file of one visit has no row of it"


def test_a_dead_visit_has_no_snr() -> None:
    seen = observe_many(3, dead=1)
    of = summarise(STAR, visits(dead=(False, True, False)), LAYOUTS["dr17"], lay_out(seen, LAYOUTS["dr17"]))
    assert of.row_snr[1] == of.visit_snr[1] == 0.0
    assert of.row_snr[0] > 0


def test_limits_of_chips() -> None:
    limits = {card.name: int(card.value) for card in summary("dr17", snr=(80.0,) * 3).limits}
    # Visits are ten pixels of velocity apart, so the covered pixels of all are 20 fewer than those of any.
    for chip, first, last in (("B", 217, 3312), ("G", 3550, 6115), ("R", 6308, 8367)):
        assert limits[f"{chip}MIN"] == pytest.approx(first - 20, abs=5)
        assert limits[f"{chip}MAX"] == pytest.approx(last, abs=5)
        assert limits[f"{chip}OVERMIN"] == pytest.approx(first, abs=5)
        assert limits[f"{chip}OVERMAX"] == pytest.approx(last - 20, abs=5)


def test_velocity_errors_fall_with_snr() -> None:
    assert velocity_error(50.0) == pytest.approx(0.1)
    assert velocity_error(0.0) == 0.0
