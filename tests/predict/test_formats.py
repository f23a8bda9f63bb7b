"""CSV, ECSV and JSON give the numbers back as the catalogues' types hold them."""

from __future__ import annotations

import csv
import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units
from astropy.table import QTable, Table

from apnet_fast.predict.columns import Value, result_columns
from apnet_fast.predict.formats import FORMATS, csv_text, ecsv_text, json_text
from apnet_fast.predict.stars import Found
from apnet_fast.recipes import RECIPES

DR19 = RECIPES["dr19"]
ABOUT: dict[str, Value] = {"recipe": "dr19", "draws": 5}


def test_csv_has_a_line_of_names_and_one_per_spectrum(found: Found) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(found.results, DR19, ABOUT))))
    assert len(rows) == len(found.results)
    assert list(rows[0]) == [column.name for column in result_columns(DR19)]
    for row, result in zip(rows, found.results, strict=True):
        for name in ("teff", "e_logg", "raw_e_fe_h", "snr"):
            value = result.record.snr if name == "snr" else result.labels[name]
            if np.isnan(value):
                assert row[name] == ""
            else:
                assert np.float32(row[name]) == np.float32(value)
        assert int(row["result_flags"]) == result.labels["result_flags"]
    assert rows[0]["mjd"] == ""
    assert rows[2]["reason"] == "missing_file"


def test_ecsv_has_types_and_units(found: Found) -> None:
    text = ecsv_text(found.results, DR19, ABOUT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(text, format="ascii.ecsv")
        with_units = QTable.read(text, format="ascii.ecsv")
    assert table.meta == ABOUT
    assert table["teff"].dtype == np.float32
    assert table["result_flags"].dtype == np.int64
    assert table["flag_bad"].dtype == np.bool_
    assert [table[name].unit for name in ("teff", "e_logg", "fe_h")] == [units.K, units.dex, units.dex]
    assert with_units["logg"].unit == units.dex(units.cm / units.s**2)
    known = np.isfinite(table["teff"])
    assert known.tolist() == [result.has_result for result in found.results]
    teff = np.array([result.labels["teff"] for result in found.results], np.float32)
    np.testing.assert_array_equal(np.asarray(table["teff"])[known], teff[known])
    assert table["mjd"].mask.tolist() == [True, False, True, True, True, False]
    assert table["fe_h"].description == "[Fe/H]"


def test_json_says_what_labels_depend_on(found: Found) -> None:
    read = json.loads(json_text(found.results, DR19, ABOUT))
    assert {name: read[name] for name in ABOUT} == ABOUT
    gone = read["spectra"][2]
    assert (gone["teff"], gone["snr"], gone["flags"]) == (None, None, ["NO_RESULT"])
    for row, result in zip(read["spectra"], found.results, strict=True):
        if result.has_result:
            assert row["teff"] == result.labels["teff"]


@pytest.mark.parametrize("name", FORMATS)
def test_text_with_commas_and_quotes_comes_back(name: str, found: Found) -> None:
    strange = 'a "b", c.fits'
    results = [replace(found.results[0], record=replace(found.results[0].record, path=strange))]
    text = FORMATS[name](results, DR19, ABOUT)
    if name == "json":
        assert json.loads(text)["spectra"][0]["path"] == strange
    elif name == "csv":
        assert next(csv.DictReader(io.StringIO(text)))["path"] == strange
    else:
        assert Table.read(text, format="ascii.ecsv")["path"][0] == strange
