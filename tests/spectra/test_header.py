"""The primary header: values as astropy has them, and every kind of wrong bytes."""

from __future__ import annotations

import io
import math

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.header import PrimaryHeader, read_primary_header

_SIMPLE = b"SIMPLE  =                    T".ljust(80)
_PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def blocks(*cards: bytes, end: bool = True) -> bytes:
    """A primary header: SIMPLE, the cards, END, padded to whole blocks."""
    text = b"".join(card.ljust(80)[:80] for card in (_SIMPLE, *cards, *([b"END"] if end else [])))
    return text + b" " * (-len(text) % 2880)


def header_of(*cards: bytes) -> PrimaryHeader:
    return read_primary_header(io.BytesIO(blocks(*cards)))


def outcome(file: io.BytesIO) -> Reason | None:
    """Why the header of a file cannot be read; None if it can."""
    try:
        read_primary_header(file)
    except ReadFailure as failure:
        return failure.reason
    return None


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("'abc'", "abc"),
        ("'abc     '           / eight characters at least", "abc"),
        ("'  abc'", "abc"),
        ("'O''Hara'", "O'Hara"),
        ("'''quoted'''", "'quoted'"),
        ("'O''Hara'' / x' / y", "O'Hara' / x"),
        ("'redux/1.3/a.fits' / a comment / with a slash", "redux/1.3/a.fits"),
        ("''", ""),
        ("''                   / nothing", ""),
        ("'never closed", "never closed"),
        ("                  12 / a number", "12"),
        ("                     / no value", ""),
        ("", ""),
        ("                   T", "T"),
    ],
)
def test_text_is_the_value_without_quotes_blanks_and_comment(field: str, text: str) -> None:
    assert header_of(f"KEY     = {field}".encode()).text("KEY") == text


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("12", 12.0),
        ("-1.5 / comment", -1.5),
        ("1.5E3", 1500.0),
        ("1.5D3", 1500.0),
        ("-2.5d-1", -0.25),
        ("'17.25'", 17.25),
    ],
)
def test_number_reads_every_way_to_write_one(field: str, number: float) -> None:
    assert header_of(f"KEY     = {field}".encode()).number("KEY") == number


@pytest.mark.parametrize("field", ["'NaN'", "'nan     '", "NaN", "", "''", "T", "'N/A'", "1.2.3", "Dec"])
def test_number_is_nan_where_there_is_none(field: str) -> None:
    assert math.isnan(header_of(f"KEY     = {field}".encode()).number("KEY"))


@pytest.mark.parametrize(
    ("field", "integer"), [("12", 12), ("12.0", 12), ("'00117'", 117), ("-7", -7), ("2147483647", 2**31 - 1)]
)
def test_integer_reads_whole_numbers(field: str, integer: int) -> None:
    assert header_of(f"KEY     = {field}".encode()).integer("KEY") == integer


@pytest.mark.parametrize("field", ["'NaN'", "12.5", "", "'abc'", "inf", "1E300", "2147483648", "99999999999"])
def test_integer_is_the_null_where_there_is_no_whole_number_of_32_bits(field: str) -> None:
    assert header_of(f"KEY     = {field}".encode()).integer("KEY") == -1


def test_integer_among_the_values_that_are_no_null() -> None:
    found = [header_of(f"KEY     = {n}".encode()).integer("KEY", range(5)) for n in (-9999, 0, 4, 5)]
    assert found == [-1, 0, 4, -1]


@pytest.mark.parametrize(
    ("field", "flags"),
    [
        ("196608", 196608),
        ("0", 0),
        ("196608.0", 196608),
        ("1.96608E5 / as a float", 196608),
        ("'196608'", 196608),
        ("-2147483644", 2**31 + 4),
        ("-2.147483644D9", 2**31 + 4),
        ("9007199254740993", 2**53 + 1),
        ("'9007199254740993'", 2**53 + 1),
        ("9223372036854775807", 2**63 - 1),
        ("9007199254740992.0", None),
        ("9223372036854775808", None),
        ("-2147483649", None),
        ("-1", None),
        ("-9999", None),
        ("-9999.0", None),
        ("0.5", None),
        ("NaN", None),
        ("inf", None),
        ("'NaN'", None),
        ("", None),
        ("T", None),
    ],
)
def test_flags_are_bits_however_they_are_written(field: str, flags: int | None) -> None:
    assert header_of(f"KEY     = {field}".encode()).flags("KEY") == flags
    assert header_of().flags("KEY") is None


def test_missing_card_gives_the_nulls() -> None:
    header = header_of()
    assert header.text("ABSENT") == ""
    assert math.isnan(header.number("ABSENT"))
    assert header.integer("ABSENT") == -1


@pytest.mark.parametrize(
    "card", [b"COMMENT = 'abc'", b"KEY       'abc'", b"HIERARCH KEY = 'abc'", b"KEYS    = 'abc'", b"KEY     ='abc'"]
)
def test_card_of_another_form_or_keyword_is_no_value(card: bytes) -> None:
    assert header_of(card).text("KEY") == ""


def test_last_of_repeated_keywords_wins() -> None:
    assert header_of(b"KEY     = 1", b"KEY     = 2").integer("KEY") == 2


@pytest.mark.parametrize("cards_before_end", [0, 33, 34, 35, 36, 70, 71, 500])
def test_end_is_found_in_whichever_block_it_is(cards_before_end: int) -> None:
    cards = [f"KEY{i:<5d}= {i}".encode() for i in range(cards_before_end)]
    file = io.BytesIO(blocks(*cards) + b"DATA" * 1000)
    header = read_primary_header(file)
    assert [header.integer(f"KEY{i}") for i in range(cards_before_end)] == list(range(cards_before_end))
    assert file.tell() == len(blocks(*cards)), "reads its own blocks and nothing of what follows"


def test_cards_behind_end_do_not_count() -> None:
    assert header_of(b"END", b"KEY     = 1").integer("KEY") == -1


@pytest.mark.parametrize("card", [b"ENDING  = 1", b"ENDING", b"ENDED   a comment"])
def test_keyword_that_begins_with_end_is_not_the_end(card: bytes) -> None:
    assert header_of(card, b"KEY     = 2").integer("KEY") == 2


def test_bytes_that_are_not_ascii_do_not_disturb_other_cards() -> None:
    header = header_of(b"FIELD   = 'caf\xe9'", b"KEY     = 2")
    assert header.text("FIELD") == "caf\N{REPLACEMENT CHARACTER}"
    assert header.integer("KEY") == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"S", Reason.NOT_FITS),
        (b"a text file\n" * 500, Reason.NOT_FITS),
        (b"XTENSION= 'IMAGE   '".ljust(2880), Reason.NOT_FITS),
        (b"\x1f\x8b\x08" + bytes(5000), Reason.NOT_FITS),
        (b"\0" * 5000, Reason.NOT_FITS),
        (_SIMPLE, Reason.TRUNCATED),
        (blocks()[:-1], Reason.TRUNCATED),
        (blocks(end=False), Reason.TRUNCATED),
        (blocks(*[b"COMMENT"] * 50)[:-2880], Reason.TRUNCATED),
    ],
)
def test_wrong_bytes_fail_with_their_reason(data: bytes, reason: Reason) -> None:
    with pytest.raises(ReadFailure) as caught:
        read_primary_header(io.BytesIO(data))
    assert caught.value.reason is reason
    assert caught.value.hdu == 0
    assert caught.value.text


class _Endless(io.RawIOBase):
    """A file whose header never ends."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        start = _SIMPLE if self.bytes_read == 0 else b""
        self.bytes_read += size
        return start.ljust(size)


def test_header_without_end_is_given_up() -> None:
    file = _Endless()
    with pytest.raises(ReadFailure, match="no END card") as caught:
        read_primary_header(file)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.NOT_FITS
    assert file.bytes_read < 2_000_000


@settings(max_examples=200, deadline=None)
@given(
    rest=st.binary(max_size=3 * 2880) | st.lists(st.binary(min_size=80, max_size=80), max_size=80).map(b"".join),
    whole=st.booleans(),
)
def test_any_bytes_after_the_first_card_give_a_header_or_a_read_failure(rest: bytes, whole: bool) -> None:
    data = _SIMPLE + rest + (b"END".ljust(2880) if whole else b"")
    file = io.BytesIO(data)
    assert outcome(file) in {None, Reason.TRUNCATED, Reason.NOT_FITS}
    assert file.tell() <= len(data)


@settings(max_examples=300, deadline=None)
@given(field=st.binary(max_size=70) | _PRINTABLE.map(str.encode))
def test_any_value_can_be_asked_for_in_every_type(field: bytes) -> None:
    header = header_of(b"KEY     = " + field)
    assert isinstance(header.text("KEY"), str)
    assert isinstance(header.number("KEY"), float)
    assert -(2**31) < header.integer("KEY") < 2**31


@settings(max_examples=200, deadline=None)
@given(text=_PRINTABLE, comment=st.text("abc /'", max_size=10))
def test_text_written_by_astropy_comes_back(text: str, comment: str) -> None:
    card = fits.Card("KEY", text, comment)
    assert header_of(str(card).encode()).text("KEY") == text.strip()


@settings(max_examples=200, deadline=None)
@given(value=st.integers(-(2**31) + 1, 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_number_written_by_astropy_comes_back(value: float) -> None:
    card = fits.Card("KEY", value)
    assert header_of(str(card).encode()).number("KEY") == fits.Card.fromstring(str(card)).value
