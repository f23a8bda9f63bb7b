"""The pixel bits that the simulator sets."""

from __future__ import annotations

from enum import IntFlag


class PixelBit(IntFlag):
    """The bits of APOGEE_PIXMASK, as DR17 and apogee_drp define them."""

    BADPIX = 1 << 0
    CRPIX = 1 << 1
    SATPIX = 1 << 2
    UNFIXABLE = 1 << 3
    BADDARK = 1 << 4
    BADFLAT = 1 << 5
    BADERR = 1 << 6
    NOSKY = 1 << 7
    LITTROW_GHOST = 1 << 8
    PERSIST_HIGH = 1 << 9
    PERSIST_MED = 1 << 10
    PERSIST_LOW = 1 << 11
    SIG_SKYLINE = 1 << 12
    SIG_TELLURIC = 1 << 13
    NOT_ENOUGH_PSF = 1 << 14


BAD_BITS = 0x40FF
"""Bits 0-7 and 14: the pixels that the pipelines call bad (`badval`)."""
