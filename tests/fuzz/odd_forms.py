"""Cards in forms that are not of the standard; the FITS library obeys many of them."""

from __future__ import annotations

FORMS = (
    "HIERARCH {key} = {value}", "HIERARCH  {key}= {value}", "HIERARCH {key}={value}", "HIERARCH {lower} = {value}",
    "hierarch {key} = {value}", "HIERARCH ESO {key} = {value}", "HIERARCH= {key} = {value}", "{key} = {value}",
    "{key}= {value}", "{key}={value}", "{key:<9}= {value}", "{key:<8}={value}", "{key:<8}== {value}",
    "{key:<8}=\t{value}", "{key:<8}  {value:>20}", "{key:<8}: {value}", "{key}\0 = {value}", "{key} X = {value}",
    "{lower:<8}= {value:>20}", " {key:<7}= {value:>20}", "COMMENT {key} = {value}",
)  # fmt: skip
VALUES = (
    ("PCOUNT", "1"), ("PCOUNT", "80"), ("PCOUNT", "-1"), ("PCOUNT", "F"), ("PCOUNT", "'a'"), ("GCOUNT", "2"),
    ("BSCALE", "2.0"), ("BSCALE", "'a'"), ("BZERO", "1.0"), ("BLANK", "1"), ("NAXIS", "1"), ("NAXIS1", "8574"),
    ("NAXIS2", "1"), ("BITPIX", "16"), ("BITPIX", "-64"), ("BUNIT", "'Err'"), ("EXTNAME", "'ERROR'"), ("ZIMAGE", "T"),
    ("END", "1"), ("END", ""), ("GROUPS", "T"), ("TFIELDS", "2"), ("XTENSION", "'BINTABLE'"),
)  # fmt: skip
OF_COLUMNS = (
    ("TSCAL{n}", "2.0"), ("TZERO{n}", "1.0"), ("TNULL{n}", "1"), ("TFORM{n}", "'8575D'"), ("TFORM{n}", "'1J'"),
    ("TTYPE{n}", "'ivar'"), ("TTYPE{n}", "'flux'"), ("TDIM{n}", "'(5,1715)'"), ("THEAP", "1"),
)  # fmt: skip
"""Of tables; n is the number of a column."""


def odd(form: str, key: str, value: str) -> str:
    """Return the card of a keyword and its value in one of the forms."""
    return form.format(key=key, lower=key.lower(), value=value)
