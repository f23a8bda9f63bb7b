"""The night sky: OH lines and telluric bands where real visits show them."""

from __future__ import annotations

import numpy as np

from apnet_fast.simulate.sky import OH_LINES, WEAK_OH_LINES, observed_frame_sky


def test_strong_lines_stand_at_their_pixels() -> None:
    sky = observed_frame_sky()
    assert sky.n_lines == len(OH_LINES) + WEAK_OH_LINES
    for pixel, peak in OH_LINES[:6]:
        assert abs(int(np.argmax(sky.lines[pixel - 4 : pixel + 5])) - 4) <= 1
        assert 0.9 < sky.lines[pixel] / peak < 1.3
    assert np.median(sky.lines) < 1.0


def test_each_line_has_the_pixels_next_to_it() -> None:
    sky = observed_frame_sky()
    assert np.all(np.diff(sky.line_of_pixel) >= 0)
    assert sky.line_of_pixel[7253] != sky.line_of_pixel[7326]
    assert sky.line_of_pixel[7252] == sky.line_of_pixel[7254]


def test_the_atmosphere_absorbs_in_bands() -> None:
    transmission = observed_frame_sky().transmission
    assert 0.98 < np.median(transmission) < 1.0
    assert transmission.min() > 0.6
    assert transmission[2782:3300].mean() < transmission[5300:5700].mean() - 0.02


def test_the_sky_is_shared_and_cannot_be_changed() -> None:
    sky = observed_frame_sky()
    assert observed_frame_sky() is sky
    assert not sky.lines.flags.writeable
