"""Small summary tables of every kind, over the stars of a simulated tree."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.spectra import SpectrumRecord, read_apstar


def records_of(tree: Path) -> list[SpectrumRecord]:
    """Coadds and visits of the files of a tree that are not links."""
    files = sorted(path for path in tree.rglob("*Star-*.fits") if not path.is_symlink())
    return [record for path in files for record in read_apstar(str(path)).records]


def of_reduction(records: list[SpectrumRecord], kind: str) -> dict[str, list[object]]:
    """Columns of allStar (kind "star") or allVisit ("visit"): DR17's, or with uri and healpix SDSS-V's."""
    rows = [record for record in records if record.product == kind]
    columns: dict[str, list[object]] = {
        "APOGEE_ID": [record.star.obj for record in rows],
        "TELESCOPE": [record.star.telescope for record in rows],
        "FIELD": [record.star.field for record in rows],
        "FILE": [Path(record.path).name if kind == "star" else record.visit.file for record in rows],
        "SNR": [record.snr for record in rows],
    }
    if rows[0].star.release == "sdss5":
        columns |= {
            "URI": [f"apogee/spectro/redux/{record.path.rpartition('/redux/')[2]}" for record in rows],
            "HEALPIX": [record.star.healpix for record in rows],
            "STARVER": [record.star.starver for record in rows],
        }
        if kind == "visit":
            columns["URI"] = [f"apogee/spectro/redux/1.3/visit/{record.visit.file}" for record in rows]
    return columns


def of_astra(records: list[SpectrumRecord], kind: str) -> dict[str, list[object]]:
    """Columns of mwmAllStar (kind "star") or mwmAllVisit ("visit")."""
    rows = [record for record in records if record.product == kind]
    columns: dict[str, list[object]] = {
        name: [getattr(record.star, name) for record in rows]
        for name in ("release", "apred", "obj", "telescope", "field", "healpix", "prefix")
    }
    if kind == "visit":
        columns["reduction"] = [record.visit.reduction for record in rows]
    return columns


def write(path: Path, columns: dict[str, list[object]], instrument: str = "") -> Path:
    """Write a table as Parquet or, with an empty one of BOSS before it where `instrument` is given, as FITS."""
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return path
    arrays = {
        name: np.array(values, "S120" if isinstance(values[0], str) else None) for name, values in columns.items()
    }
    rows = np.zeros(table.num_rows, [(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        rows[name] = array
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        if instrument:
            file.write(np.zeros(0, [("run2d", "S6")]), header={"INSTRMNT": "BOSS"})
        file.write(rows, header={"INSTRMNT": instrument} if instrument else None)
    return path
