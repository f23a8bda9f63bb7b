"""Write a tree of simulated apStar files, and a table of their true labels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.simulate.earlier_files import check_may_replace, remove_left
from apnet_fast.simulate.edge_cases import ORDINARY, EdgeCase, cases_of
from apnet_fast.simulate.header_cards import summarise
from apnet_fast.simulate.headers import primary_cards
from apnet_fast.simulate.layouts import Layout, find_layout
from apnet_fast.simulate.observe import ObservedVisit, observe_visit
from apnet_fast.simulate.population import Field, Star, draw_fields, draw_star
from apnet_fast.simulate.rows import lay_out
from apnet_fast.simulate.streams import EDGE_CASES, FIELDS, HOW_OFTEN, SEEN, STARS, WHEN, WHO, Streams
from apnet_fast.simulate.visits import Visit, draw_n_visits, draw_snr, flux_level, plan_visits
from apnet_fast.simulate.writer import write_apstar
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import written_whole
from apnet_fast.support.stopping import StopRequest

TRUTH_FILE = "truth.parquet"
TRUTH_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("obj", pa.string()),
        ("layout", pa.string()),
        ("telescope", pa.string()),
        ("field", pa.string()),
        ("healpix", pa.int32()),
        ("case", pa.string()),
        ("teff", pa.float64()),
        ("logg", pa.float64()),
        ("fe_h", pa.float64()),
        ("vsini", pa.float64()),
        ("h_mag", pa.float64()),
        ("snr", pa.float64()),
        ("n_visits", pa.int32()),
        ("readable", pa.bool_()),
    ]
)

MOST_VISITS_ASKED = 500


def simulate_tree(
    output: Path,
    *,
    stars: int,
    layout: str,
    visits: int | None = None,
    snr: float | None = None,
    seed: int = 0,
    edge_cases: bool = False,
) -> Path:
    """Write `stars` apStar files in the tree of `layout` below `output`, and `truth.parquet`.

    layout: 'legacy' (DR10-DR16, as r8), 'dr17' or 'sdss5' (apred 1.3). visits, snr: number
    of visits and coadd S/N per pixel of each ordinary star; None draws them from the survey's
    distributions. edge_cases: add one file for each edge case of the layout.

    Equal arguments give equal bytes, and star i does not depend on `stars`. The table has
    one row per star, in order, edge cases last: path is relative to `output` (in sdss5 the
    name without STARVER), snr belongs to row 0 of the file (NaN if the file has no spectrum),
    teff is in K, logg and fe_h in dex, vsini in km/s. It is written last, so it marks a complete tree.

    Returns `output`. Raises UsageError for arguments out of range, for an `output` that
    already holds a tree, and for a file in a place that it needs which no simulation has made; Stopped on a
    signal.
    """
    chosen = find_layout(layout)
    _check_arguments(stars, visits, snr, seed, edge_cases)
    if os.path.lexists(output / TRUTH_FILE):
        raise UsageError(
            "The output folder already holds a simulated tree",
            got=str(output),
            expected=f"a folder without {TRUTH_FILE}",
            remedy="give another folder or delete this one",
        )
    output.mkdir(parents=True, exist_ok=True)
    remove_left(output, TRUTH_FILE)

    fields = draw_fields(Streams(seed, FIELDS, 0).stream(), chosen.southernmost_dec)
    rows: list[dict[str, object]] = []
    with StopRequest("star", remedy="give the same command again; it begins anew, and replaces what is there") as stop:
        for number in range(stars):
            rows.append(_ordinary_star(output, chosen, fields, Streams(seed, STARS, number), visits, snr))
            stop.check()
        if edge_cases:
            for row in _edge_case_stars(output, chosen, fields, seed):
                rows.append(row)
                stop.check()
        _write_truth(output / TRUTH_FILE, rows)
    return output


def _check_arguments(stars: int, visits: int | None, snr: float | None, seed: int, edge_cases: bool) -> None:
    fewest = 0 if edge_cases else 1
    if stars < fewest:
        raise UsageError("There is nothing to simulate", got=f"{stars} stars", expected=f"{fewest} or more")
    if visits is not None and not 1 <= visits <= MOST_VISITS_ASKED:
        raise UsageError("The number of visits is out of range", got=visits, expected=f"1 to {MOST_VISITS_ASKED}")
    if snr is not None and not (math.isfinite(snr) and snr > 0):
        raise UsageError("The S/N is out of range", got=snr, expected="a positive number")
    if seed < 0:
        raise UsageError("The seed is out of range", got=seed, expected="0 or more")


def _ordinary_star(
    output: Path,
    layout: Layout,
    fields: list[Field],
    streams: Streams,
    visits: int | None,
    snr: float | None,
) -> dict[str, object]:
    who, how_often = streams.stream(WHO), streams.stream(HOW_OFTEN)
    star = draw_star(who, fields[who.integers(len(fields))])
    n_visits = draw_n_visits(how_often, layout.name) if visits is None else visits
    coadd_snr = draw_snr(how_often, layout.name, star.h_mag) if snr is None else snr
    return _write_star(output, layout, star, n_visits, coadd_snr, streams, ORDINARY)


def _edge_case_stars(output: Path, layout: Layout, fields: list[Field], seed: int) -> Iterator[dict[str, object]]:
    northern = [field for field in fields if field.telescope == "apo25m"]
    for number, case in enumerate(cases_of(layout)):
        streams = Streams(seed, EDGE_CASES, number)
        who = streams.stream(WHO)
        star = draw_star(who, case.field or northern[who.integers(len(northern))])
        if case.star is not None:
            star = case.star(star)
        yield _write_star(output, layout, star, case.n_visits, case.snr, streams, case)


def _write_star(
    output: Path,
    layout: Layout,
    star: Star,
    n_visits: int,
    snr: float,
    streams: Streams,
    case: EdgeCase,
) -> dict[str, object]:
    """Observe a star, write its file or files, and return its row of the truth table."""
    # Imported here, so that `--help` does not load numba.
    from apnet_fast.simulate.stars.synthesis import synthesise

    visits = plan_visits(
        streams.stream(WHEN),
        star,
        n_visits=n_visits,
        snr=snr,
        first_mjd=layout.first_mjd,
        last_mjd=layout.last_mjd,
    )
    if case.visits is not None:
        visits = case.visits(visits)
    spectrum = synthesise(star.teff, star.logg, star.fe_h, vsini=star.vsini)[0].astype(np.float64)
    level = flux_level(star.h_mag)
    observed = [
        observe_visit(spectrum, level, visit, streams.stream(SEEN, number)) for number, visit in enumerate(visits)
    ]
    path, header_snr = output, math.nan
    for left_out in reversed(range(case.versions)):
        used = len(visits) - left_out
        path, header_snr = _write_file(output, layout, star, visits[:used], observed[:used], case)
    link = layout.link_path(star)
    if link is not None:
        named = output / link
        check_may_replace(named)
        named.unlink(missing_ok=True)
        named.symlink_to(path.name)
        path = named
    return {
        "path": path.relative_to(output).as_posix(),
        "obj": star.obj,
        "layout": layout.name,
        "telescope": star.telescope,
        "field": "" if layout.name == "sdss5" else star.field,
        "healpix": star.healpix,
        "case": case.name,
        "teff": star.teff,
        "logg": star.logg,
        "fe_h": star.fe_h,
        "vsini": star.vsini,
        "h_mag": star.h_mag,
        "snr": header_snr if case.readable else math.nan,
        "n_visits": len(visits),
        "readable": case.readable,
    }


def _write_file(
    output: Path,
    layout: Layout,
    star: Star,
    visits: list[Visit],
    observed: list[ObservedVisit],
    case: EdgeCase,
) -> tuple[Path, float]:
    """Write one apStar file; return its path and the S/N of its row 0."""
    planes = lay_out(observed, layout)
    if case.planes is not None:
        case.planes(planes, layout)
    summary = summarise(star, visits, layout, planes)
    cards = primary_cards(summary)
    if case.cards is not None:
        cards = case.cards(cards)
    path = output / layout.star_path(star, visits)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_may_replace(path)
    write_apstar(path, summary, planes, cards)
    if case.file is not None:
        case.file(path, layout)
    return path, summary.snr


def _write_truth(path: Path, rows: list[dict[str, object]]) -> None:
    with written_whole(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=TRUTH_SCHEMA), partial)
