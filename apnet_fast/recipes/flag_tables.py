"""Define the bits of `result_flags`, table by table.

`PAGE` is the DR19 page's table (12 bits) with the conditions of Astra's ApogeeNet v2 but without its two bugs.
`ASTRA_06_V2` has the same bits with the bugs, and NaN sets none of them. `ASTRA_06` is the released DR19 file's table
(4 bits). `TABLES` holds them all, `flag_packers.pack` sets the bits, and `python -m apnet_fast.flags` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

UNRELIABLE = "RESULT_UNRELIABLE"


@dataclass(frozen=True)
class Bit:
    """Describe one bit: its number, name and meaning, and the exact condition that sets it."""

    number: int
    name: str
    description: str
    condition: str


@dataclass(frozen=True)
class FlagTable:
    """Hold a named set of bits, and the names of those that make `flag_warn` and `flag_bad`.

    normalised_photometry: whether the condition on photometry is evaluated on the network's normalised input.
    """

    name: str
    source: str
    bits: tuple[Bit, ...]
    warn: tuple[str, ...]
    bad: tuple[str, ...]
    normalised_photometry: bool = False

    def mask(self, *names: str) -> int:
        """Return the integer with the named bits set. Raises KeyError for a name the table lacks."""
        numbers = {bit.name: bit.number for bit in self.bits}
        return sum(1 << numbers[name] for name in names)

    @property
    def knows_unreliable(self) -> bool:
        """Return whether the table has RESULT_UNRELIABLE, the bit of labels that mean nothing."""
        return any(bit.name == UNRELIABLE for bit in self.bits)

    @property
    def unreliable_text(self) -> str:
        """Say by which columns a row tells that its labels mean nothing."""
        if self.knows_unreliable:
            return f"{UNRELIABLE} in result_flags"
        return f"flag_bad, but no bit in result_flags: the table {self.name} has none for it"

    def names(self, value: int) -> list[str]:
        """Return the names of the bits set in a `result_flags` value."""
        return [bit.name for bit in self.bits if value >> bit.number & 1]

    def text(self) -> str:
        """Return the table as `python -m apnet_fast.flags` prints it."""
        rows = [("bit", "value", "name", "in", "condition", "description")]
        for bit in self.bits:
            roles = [role for role, names in (("warn", self.warn), ("bad", self.bad)) if bit.name in names]
            numbers = str(bit.number), str(1 << bit.number)
            rows.append((*numbers, bit.name, "+".join(roles), bit.condition, bit.description))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"result_flags, table {self.name} ({self.source})", *lines])


PAGE = FlagTable(
    name="page",
    source="DR19 ApogeeNet page; recipes dr19",
    bits=(
        Bit(0, "TEFF_UNRELIABLE", "Effective temperature is unreliable", "teff NaN, log10(teff) < 3.1 or > 4.7"),
        Bit(1, "LOGG_UNRELIABLE", "Surface gravity is unreliable", "logg NaN, < -1.5 or > 6"),
        Bit(2, "FE_H_UNRELIABLE", "Metallicity is unreliable", "fe_h NaN, < -2 or > 0.5, or log10(teff) > 3.82"),
        Bit(
            3,
            "E_TEFF_UNRELIABLE",
            "Error on effective temperature is unreliable",
            "raw_e_teff NaN, or median of draws: log10(teff) < 3.1 or > 4.7",
        ),
        Bit(
            4,
            "E_LOGG_UNRELIABLE",
            "Error on surface gravity is unreliable",
            "raw_e_logg NaN, or median of draws: logg < -1.5 or > 6",
        ),
        Bit(
            5,
            "E_FE_H_UNRELIABLE",
            "Error on metallicity is unreliable",
            "raw_e_fe_h NaN, or median of draws: fe_h < -2 or > 0.5, or log10(teff) > 3.82",
        ),
        Bit(6, "E_TEFF_LARGE", "Error on effective temperature is large", "log10(raw_e_teff) > 2.7"),
        Bit(7, "E_LOGG_LARGE", "Error on surface gravity is large", "raw_e_logg > 0.3"),
        Bit(8, "E_FE_H_LARGE", "Error on metallicity is large", "raw_e_fe_h > 0.5"),
        Bit(
            9,
            "MISSING_PHOTOMETRY",
            "Missing photometry",
            "the network uses photometry and a magnitude or the parallax is missing",
        ),
        Bit(
            10,
            UNRELIABLE,
            "Stellar parameters are knowingly unreliable",
            "RP - K > 2.3 and H - 5 log10(1000 / plx) + 5 > 6, if photometry is known; or weights for simulated spectra"
            " only, unless the spectrum is simulated",
        ),
        Bit(11, "NO_RESULT", "Spectrum could not be read or used", "no labels: see quarantine.parquet"),
    ),
    warn=("E_TEFF_LARGE", "E_LOGG_LARGE", "E_FE_H_LARGE", "MISSING_PHOTOMETRY"),
    bad=(
        "TEFF_UNRELIABLE",
        "LOGG_UNRELIABLE",
        "FE_H_UNRELIABLE",
        "E_TEFF_UNRELIABLE",
        "E_LOGG_UNRELIABLE",
        "E_FE_H_UNRELIABLE",
        UNRELIABLE,
        "NO_RESULT",
    ),
)

ASTRA_06 = FlagTable(
    name="astra-0.6",
    source="Astra 0.6.0 apply_result_flags, as PostgreSQL orders NaN; recipe astra-0.6",
    bits=(
        Bit(0, "RUNTIME_EXCEPTION", "Exception raised during runtime", "no labels: see quarantine.parquet"),
        Bit(
            1,
            "UNRELIABLE_TEFF",
            "teff is outside the range 1700 K to 100,000 K",
            "teff < 1700 or > 100000 or NaN",
        ),
        Bit(2, "UNRELIABLE_LOGG", "logg is outside the range -1 to 10", "logg < -1 or > 10 or NaN"),
        Bit(
            3,
            "UNRELIABLE_FE_H",
            "teff < 3200 K or logg > 5 or fe_h is outside the range -4 to 2",
            "teff < 3200, logg > 5, fe_h < -4 or > 2, or NaN",
        ),
    ),
    warn=("UNRELIABLE_FE_H",),
    bad=("RUNTIME_EXCEPTION", "UNRELIABLE_TEFF", "UNRELIABLE_LOGG", "UNRELIABLE_FE_H"),
)

# ApogeeNetV2.apply_flags differs from what its bits are meant to say: NaN fails no comparison, bit 3 looks at the
# wrong column, and bit 10 at normalised photometry.
_ASTRA_06_V2_CONDITIONS = {
    0: "log10(teff) < 3.1 or > 4.7",
    1: "logg < -1.5 or > 6",
    2: "fe_h < -2 or > 0.5, or log10(teff) > 3.82",
    3: "log10(teff) < 3.1 or > 4.7 (of teff, not of teff_sample_median)",
    4: "logg_sample_median < -1.5 or > 6",
    5: "fe_h_sample_median < -2 or > 0.5, or log10(teff_sample_median) > 3.82",
    10: "RP - K > 2.3 and H - 5 log10(1000 / plx) + 5 > 6 of normalised values, placeholders included; or weights for"
    " simulated spectra only, unless the spectrum is simulated",
}
ASTRA_06_V2 = FlagTable(
    name="astra-0.6-v2",
    source="Astra 0.6.0 ApogeeNetV2.apply_flags as it is; recipe astra-0.6 of ApogeeNet v2",
    bits=tuple(replace(bit, condition=_ASTRA_06_V2_CONDITIONS.get(bit.number, bit.condition)) for bit in PAGE.bits),
    warn=PAGE.warn,
    bad=PAGE.bad,
    normalised_photometry=True,
)

NO_RESULT_ONLY = FlagTable(
    name="no-result",
    source="upstream code sets no flags; recipes bossnet-2, apogeenet-2, astra-2020",
    bits=(
        replace(PAGE.bits[10], condition="weights for simulated spectra only, unless the spectrum is simulated"),
        PAGE.bits[11],
    ),
    warn=(),
    bad=(UNRELIABLE, "NO_RESULT"),
)

TABLES = (PAGE, ASTRA_06, ASTRA_06_V2, NO_RESULT_ONLY)


def known_table(name: str) -> FlagTable | None:
    """Return the table that a catalogue's card FLAGTAB names, or None if it is not one of this package."""
    return next((table for table in TABLES if table.name == name), None)
