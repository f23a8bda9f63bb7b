"""Mutated summary tables, as INPUT and as --catalog: FITS and Parquet, in the columns of every family."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.sources import SourceTable
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import read_spectra
from apnet_fast.support.errors import UsageError
from tests.fuzz.case import Case, Kind, WrongAnswer, numpy_randomness, verdict_of
from tests.fuzz.fits_mutations import mutate_fits
from tests.fuzz.mutations import mutate_bytes
from tests.simulate.simulated_trees import files_of

STARS = 6
# Types that writers of Parquet give to columns of ids, names and flags.
TYPES = (
    pa.int8(), pa.int16(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary(),
    pa.large_string(), pa.decimal128(20, 0), pa.decimal128(38, 10), pa.list_(pa.int64()), pa.list_(pa.float32(), 3),
    pa.null(), pa.date32(), pa.timestamp("ns"), pa.time64("us"), pa.duration("s"), pa.binary(4),
    pa.dictionary(pa.int8(), pa.string()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64()),
    pa.string_view(), pa.float16(),
)  # fmt: skip
ODD_NUMBERS = (0, 1, -1, -9999, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 999_999)
ODD_TEXTS = (
    "",
    " ",
    "N/A",
    "nan",
    "\0",
    "a\0b",
    "..",
    "../../x",
    "é",
    "x" * 10_000,
    "apStar-.fits",
    "*",
)


def _prepare(folder: Path) -> dict[str, Any]:
    tree = simulate_tree(folder / "dr17" / "apogee" / "spectro" / "redux", stars=STARS, layout="dr17", visits=2, seed=3)
    files = files_of(tree)
    batches = [read_spectra(str(path), ("star", "visit")) for path in files]
    records = [record for batch in batches for record in batch.records]
    stars = [record for record in records if record.product == "star"]
    visits = [record for record in records if record.product == "visit"]
    tables = {
        "allStar": _dr17(stars, [record.path.rpartition("/")[2] for record in stars], visit=False),
        "allVisit": _dr17(visits, [record.visit.file for record in visits], visit=True),
        "mwmAllStar": _astra(stars),
    }
    sound = {}
    for name, table in tables.items():
        for form, content in (("fits", _fits(table)), ("parquet", _parquet(table))):
            path = folder / f"{name}.{form}"
            path.write_bytes(content)
            known = resolve_inputs([str(path)], str(folder)).files
            sound[path.name] = (table, content, known)
    return {"root": str(folder), "records": records, "sound": sound}


def _dr17(records: list[Any], files: list[str], *, visit: bool) -> dict[str, np.ndarray]:
    """Return an allStar or allVisit of DR17."""
    n = len(records)
    columns = {
        "FILE": np.array(files, "S64"),
        "APOGEE_ID": np.array([record.star.obj for record in records], "S18"),
        "TELESCOPE": np.array([record.star.telescope for record in records], "S8"),
        "FIELD": np.array([record.star.field for record in records], "S16"),
        "LOCATION_ID": np.arange(n, dtype="i4") + 4000,
        "GAIAEDR3_SOURCE_ID": np.arange(n, dtype="i8") + 2**60,
        "STARFLAG": np.arange(n, dtype="i8"),
        "J": np.linspace(9.0, 12.0, n).astype("f4"),
        "SNR": np.linspace(50.0, 90.0, n).astype("f4"),
    }
    if visit:
        columns |= {"MJD": np.arange(n, dtype="i4") + 58_000, "FIBERID": np.arange(n, dtype="i2") + 1}
        columns["VHELIO"] = np.zeros(n, "f4")
    else:
        columns |= {"VHELIO_AVG": np.zeros(n, "f4"), "NVISITS": np.full(n, 2, "i4")}
    return columns


def _astra(records: list[Any]) -> dict[str, np.ndarray]:
    """Return a table with Astra's columns."""
    n = len(records)
    return {
        "release": np.array(["dr17"] * n, "S5"),
        "apred": np.array(["dr17"] * n, "S5"),
        "telescope": np.array([record.star.telescope for record in records], "S8"),
        "obj": np.array([record.star.obj for record in records], "S18"),
        "field": np.array([record.star.field for record in records], "S16"),
        "healpix": np.arange(n, dtype="i4"),
        "prefix": np.array([record.star.prefix for record in records], "S2"),
        "sdss_id": np.arange(n, dtype="i8") + 100,
        "gaia_dr3_source_id": np.arange(n, dtype="i8") + 2**60,
        "spectrum_flags": np.arange(n, dtype="i8"),
        "j_mag": np.linspace(9.0, 12.0, n).astype("f4"),
    }


def _fits(table: dict[str, np.ndarray]) -> bytes:
    rows = np.zeros(len(next(iter(table.values()))), [(name, column.dtype) for name, column in table.items()])
    for name, column in table.items():
        rows[name] = column
    with fitsio.FITS("mem://", "rw") as file:
        file.write(rows)
        return file.read_raw()


def _parquet(table: dict[str, np.ndarray], **changes: pa.Array) -> bytes:
    columns = {
        name: pa.array([text.decode() for text in column.tolist()] if column.dtype.kind == "S" else column)
        for name, column in table.items()
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns | changes), sink)
    return sink.getvalue()


def _make(rng: random.Random, base: Any, folder: Path) -> Case:
    name = rng.choice(list(base["sound"]))
    table, content, known = base["sound"][name]
    values = True
    if rng.random() < 0.25:
        table = dict(table)
        what = _odd_values(table, rng)
        content = _fits(table) if name.endswith(".fits") else _parquet(table)
    elif name.endswith(".parquet") and rng.random() < 0.6:
        content, what = _odd_columns(table, rng)
    elif name.endswith(".parquet"):
        content, what = mutate_bytes(content, rng)
    else:
        content, what, values = mutate_fits(content, rng)
        # These change what the bytes mean, by right: types, nulls and scalings of columns.
        values |= any(word in what for word in ("TFORM", "TNULL", "TSCAL", "TZERO", "TTYPE", "TDIM", "byte of card"))
    path = folder / f"{rng.choice(['allStar', 'catalog', 'x y', '[1]'])}{rng.choice(['', '-dr17'])}{Path(name).suffix}"
    path.write_bytes(content)
    return Case(what, (path, None if values else set(known)))


def _odd_values(table: dict[str, np.ndarray], rng: random.Random) -> str:
    """Put odd values into a column, which keeps its type."""
    name = rng.choice(list(table))
    column = table[name].copy()
    row = rng.randrange(len(column))
    if column.dtype.kind == "S":
        value: Any = rng.choice(ODD_TEXTS)
        column = column.astype("S10000") if len(value) > 60 else column
        column[row] = value.encode("utf-8")
    elif column.dtype.kind == "i":
        limits = np.iinfo(column.dtype)
        value = min(max(rng.choice(ODD_NUMBERS), limits.min), limits.max)
        column[row] = value
    else:
        value = rng.choice([np.nan, np.inf, -9999.0, 3e38])
        column[row] = value
    table[name] = column if rng.random() < 0.5 else column[[row] * len(column)]
    return f"{name} = {str(value)[:20]!r}"


def _odd_columns(table: dict[str, np.ndarray], rng: random.Random) -> tuple[bytes, str]:
    """Give a column another type, all of it null or some of it, or repeat or drop a column."""
    name, kind = rng.choice(list(table)), rng.choice(TYPES)
    how = rng.choice(["type", "null", "twice", "without", "empty"])
    if how == "empty":
        return _parquet({key: column[:0] for key, column in table.items()}), "no rows"
    if how == "without":
        return _parquet({key: column for key, column in table.items() if key != name}), f"without {name}"
    if how == "twice":
        other = rng.choice([name.lower(), name.upper(), name.capitalize()])
        odd = pa.array(numpy_randomness(rng).integers(0, 9, len(table[name])))
        return _parquet(table, **{other: odd}), f"{name} and {other}"
    if how == "null":
        kept = rng.random() < 0.5
        values = [value if kept and row % 2 else None for row, value in enumerate(table[name].tolist())]
        values = [value.decode() if isinstance(value, bytes) else value for value in values]
        return _parquet(table, **{name: pa.array(values)}), f"{name} has nulls"
    values = [row if row % 3 else None for row in range(len(table[name]))]
    for made in (values, [str(value) for value in values], [None] * len(values)):
        try:
            odd = pa.array(made).cast(kind)
            return _parquet(table, **{name: odd}), f"{name} is {kind}"
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            continue
    return _parquet(table, **{name: pa.nulls(len(values), kind)}), f"{name} is {kind}, all null"


def _judge(base: Any, case: Case) -> str:
    path, known = case.data
    verdicts = []
    try:
        # A file that is not a table any more is taken for one of spectra, and gets a row with a reason.
        files = set(resolve_inputs([str(path)], base["root"]).files) - {str(path)}
        if known is not None and not files <= known:
            raise WrongAnswer(f"names {sorted(files - known)[0]!r}, which the sound table does not")
        if outside := [file for file in files if not file.startswith(base["root"])]:
            raise WrongAnswer(f"names {outside[0]!r}, which is not below the root")
        verdicts.append("input" if files else "input: taken for spectra")
    except UsageError as error:
        verdicts.append(f"input: {verdict_of(error)}")
    try:
        table = SourceTable.load(path)
        for product in ("star", "visit"):
            records = [record for record in base["records"] if record.product == product]
            matches = table.match(records)
            columns = table.columns_for(product, matches)
            if any(len(column) != len(records) for column in columns.values()):
                raise WrongAnswer("a column of another length than the spectra")
            table.photometry(matches)
        verdicts.append("catalog")
    except UsageError as error:
        verdicts.append(f"catalog: {verdict_of(error)}")
    return "; ".join(verdicts)


KIND = Kind("tables", _prepare, _make, _judge)
