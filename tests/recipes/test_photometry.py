"""Photometry of ApogeeNet v2: what is missing under each rule, placeholders, and the network's input."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.recipes.photometry import (
    MEANS,
    NO_SOURCE,
    PHOTOMETRY,
    PLACEHOLDERS,
    STDS,
    MissingRule,
    as_photometry,
    missing_photometry,
    normalised_photometry,
)
from apnet_fast.support.errors import UsageError

STAR = (2.0, 13.0, 13.5, 12.3, 11.0, 10.4, 10.2)


def changed(column: int, value: float) -> np.ndarray:
    values = np.array([STAR], np.float32)
    values[0, column] = value
    return values


@pytest.mark.parametrize("column", range(7), ids=PHOTOMETRY)
@pytest.mark.parametrize(
    ("value", "astra", "apogeenet"),
    [
        (np.nan, True, True),
        (np.inf, True, True),
        (-np.inf, True, True),
        (98.0, True, True),
        (99.99, True, True),
        (97.9, False, False),
        (-1.0, True, False),
        (-0.99, False, False),
        (-999999.0, True, False),
        (0.0, False, False),
    ],
)
def test_what_is_missing(column: int, value: float, astra: bool, apogeenet: bool) -> None:
    photometry = changed(column, value)
    for rule, missing in (("astra", astra), ("apogeenet-2", apogeenet)):
        expected = np.zeros((1, 7), bool)
        expected[0, column] = missing
        np.testing.assert_array_equal(missing_photometry(photometry, rule), expected)
        stands_in = PLACEHOLDERS[column] if missing else float(np.float32(value))
        got = normalised_photometry(photometry, rule)
        assert got.dtype == np.float32
        assert got[0, column] == np.float32((stands_in - MEANS[column]) / STDS[column])
        others = [other for other in range(7) if other != column]
        np.testing.assert_array_equal(got[0, others], normalised_photometry(changed(0, 2.0), rule)[0, others])


def test_constants_are_in_the_networks_order() -> None:
    assert PHOTOMETRY == ("parallax", "g_mag", "bp_mag", "rp_mag", "j_mag", "h_mag", "k_mag")
    # BP is fainter than G, and G than RP, J, H and K, in the means; the parallax is not a magnitude.
    assert list(np.argsort(MEANS)) == [0, 6, 5, 4, 3, 1, 2]
    expected = [-5.7733, 3.4172, 3.5341, 3.4772, 4.1099, 8.8267, 3.9895]
    np.testing.assert_allclose(normalised_photometry(as_photometry(None, 1), "astra")[0], expected, rtol=2e-5)


def test_shapes() -> None:
    assert np.isnan(as_photometry(None, 3)).all()
    assert as_photometry([STAR], 1).dtype == np.float32
    for wrong in ([STAR], np.zeros((2, 6)), np.zeros(7)):
        with pytest.raises(UsageError, match=r"expected \(2, 7\): parallax, g_mag"):
            as_photometry(wrong, 2)


def test_no_source_is_the_mean_for_astra_and_missing_for_the_package() -> None:
    values = np.array([STAR, NO_SOURCE, (np.nan,) * 7, (-np.inf,) * 7], np.float32)
    placeholders = normalised_photometry(as_photometry(None, 1), "astra")[0]
    astra, package = (normalised_photometry(values, rule) for rule in ("astra", "apogeenet-2"))  # type: ignore[arg-type]
    assert not astra[1].any()
    for row in (astra[2], astra[3], package[1], package[2]):
        np.testing.assert_array_equal(row, placeholders)
    np.testing.assert_array_equal(astra[0], package[0])
    assert missing_photometry(values, "astra")[1:].all()


@pytest.mark.parametrize("rule", ["astra", "apogeenet-2"])
def test_the_mean_of_a_value_is_zero_and_its_neighbours_are_what_they_are(rule: MissingRule) -> None:
    nearest = as_photometry([MEANS], 1)
    # No mean is a float32 number, so that the plain formula gives a rounding error.
    assert (((nearest - np.array(MEANS)) / STDS).astype(np.float32) != 0).all()
    assert normalised_photometry(nearest, rule).tobytes() == np.zeros((1, 7), np.float32).tobytes()
    for direction in (-np.inf, np.inf):
        beside = np.nextafter(nearest, np.float32(direction))
        expected = ((beside - np.array(MEANS)) / STDS).astype(np.float32)
        assert expected.all()
        assert normalised_photometry(beside, rule).tobytes() == expected.tobytes()
    one = changed(2, MEANS[2])
    assert normalised_photometry(one, rule)[0, 2] == 0
    others = [0, 1, 3, 4, 5, 6]
    np.testing.assert_array_equal(
        normalised_photometry(one, rule)[0, others], normalised_photometry(changed(2, 13.5), rule)[0, others]
    )


def test_no_source_and_the_mean_are_the_same_bits() -> None:
    no_source, mean = (normalised_photometry(as_photometry([row], 1), "astra") for row in (NO_SOURCE, MEANS))
    assert no_source.tobytes() == mean.tobytes()


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown rule for missing photometry; got 'gaia'"):
        missing_photometry(np.zeros((1, 7), np.float32), "gaia")  # type: ignore[arg-type]
