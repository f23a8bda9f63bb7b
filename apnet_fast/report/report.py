"""The sections of a run's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from apnet_fast.plots.figures import figure_bytes
from apnet_fast.plots.kiel import draw_kiel, read_stars
from apnet_fast.report import html
from apnet_fast.report.run_folder import Catalogue, Quarantine, RunFolder, read_run
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.pairs import Selection
from apnet_fast.validate.repeats import validate_repeats
from apnet_fast.validate.zscores import draw_z_scores

_NAMES = {"star": "Stars (coadds)", "visit": "Visits"}
_WIDE, _NARROW = 900, 620


def report_of(folder: Path) -> str:
    """The report of the run in a folder, as an HTML document without links. Raises UsageError where there is no run."""
    run = read_run(folder)
    return html.page(f"ApogeeNet run {folder.resolve().name}", _sections(run))


def _sections(run: RunFolder) -> Iterator[str]:
    record = run.record
    yield html.heading("ApogeeNet run", level=1)
    fingerprint = _mapping(record.get("fingerprint"))
    said = [
        record.get("software"),
        f"recipe {fingerprint.get('recipe', '?')}",
        f"finished {record.get('finished', '?')}",
    ]
    yield html.paragraph(" · ".join(str(words) for words in said if words), lead=True)
    yield from _counts(run)
    for catalogue in run.catalogues:
        yield from _flags(catalogue)
    yield from _kiel(run)
    yield from _z_scores(run)
    yield from _timings(record)
    yield from _failures(run.quarantine)
    yield from _provenance(record)


def _counts(run: RunFolder) -> Iterator[str]:
    yield html.heading("Counts")
    rows = [
        (_NAMES[each.product], each.rows, each.with_labels, each.rows - each.with_labels, each.warn, each.bad)
        for each in run.catalogues
    ]
    yield html.table(("product", "rows", "with labels", "without", "flag_warn", "flag_bad"), rows)
    facts = [(name, run.record[key]) for key, name in _FACTS.items() if run.record.get(key) is not None]
    if facts:
        yield html.table(("", ""), facts)


_FACTS = {
    "files": "apStar files",
    "spectra_per_second": "spectra a second, everything counted",
    "spectra_this_run": "spectra computed by the last command",
    "resumed_shards": "shards done by commands before it",
}


def _flags(catalogue: Catalogue) -> Iterator[str]:
    yield html.heading(f"Flags: {_NAMES[catalogue.product]}")
    table = catalogue.flag_table
    known = {bit.number: bit for bit in table.bits} if table else {}
    rows, shares = [], []
    for number in sorted({*known, *catalogue.bits}):
        bit, count = known.get(number), catalogue.bits.get(number, 0)
        share = count / max(catalogue.rows, 1)
        roles = (
            [role for role, names in (("warn", table.warn), ("bad", table.bad)) if bit and bit.name in names]
            if table
            else []
        )
        name, meaning = (bit.name, bit.description) if bit else ("not in the table", "")
        rows.append((number, name, " + ".join(roles), meaning, count, f"{100 * share:.2f} %"))
        shares.append(share)
    yield html.table(("bit", "name", "in", "meaning", "rows", "share"), rows, bars=shares)
    yield html.paragraph(
        f"Table of bits: {table.name} ({table.source})." if table else "The catalogue names no table of bits."
    )


def _kiel(run: RunFolder) -> Iterator[str]:
    for catalogue in run.catalogues[:1]:
        yield html.heading(f"Kiel diagram: {_NAMES[catalogue.product]}")
        try:
            stars = read_stars(catalogue.path)
        except UsageError as error:
            yield html.paragraph(f"No diagram: {error}")
            return
        caption = f"{len(stars):,} rows with labels; {int(stars.bad.sum()):,} with flag_bad in grey."
        yield html.figure(figure_bytes(draw_kiel(stars), "png"), caption, _NARROW)


def _z_scores(run: RunFolder) -> Iterator[str]:
    for catalogue in run.catalogues:
        if catalogue.product != "visit":
            continue
        yield html.heading("Errors against repeated visits")
        try:
            report = validate_repeats(catalogue.path, Selection(), bootstrap=200)
        except UsageError as error:
            yield html.paragraph(f"No z-scores: {error}")
            return
        caption = (
            "z-scores of all pairs of visits of the same star; unflagged spectra, each star with n visits counts n - 1."
        )
        yield html.figure(figure_bytes(draw_z_scores(report), "png"), caption, _WIDE)
        yield html.preformatted(report.text())


def _timings(record: Mapping[str, Any]) -> Iterator[str]:
    """Seconds of each stage: numbers, or a mapping of numbers (such as busy and waiting) a stage."""
    stages = _mapping(record.get("stage_seconds"))
    if not stages:
        return
    yield html.heading("Stages")
    kinds = list(dict.fromkeys(kind for seconds in stages.values() for kind in _mapping(seconds)))
    kinds = kinds or ["seconds"]
    seconds = {stage: given if isinstance(given, Mapping) else {kinds[0]: given} for stage, given in stages.items()}
    rows = [(stage, *(_number(given.get(kind)) for kind in kinds)) for stage, given in seconds.items()]
    first = [_number(given.get(kinds[0])) for given in seconds.values()]
    longest = max(first) or 1.0
    units = [kind if kind == "seconds" else f"{kind} [s]" for kind in kinds]
    yield html.table(("stage", *units), rows, bars=[value / longest for value in first])
    wall = _number(record.get("wall_seconds"))
    yield html.paragraph(
        "Of the command that finished the run." + (f" Wall time {wall:.4g} s; stages overlap." if wall else "")
    )


def _failures(quarantine: Quarantine | None) -> Iterator[str]:
    yield html.heading("Spectra without a result")
    if quarantine is None or not quarantine.reasons:
        yield html.paragraph("None." if quarantine is not None else "The list of failures is not there.")
        return
    rows = [(product, reason, number) for (product, reason), number in quarantine.reasons.items()]
    yield html.table(("product", "reason", "spectra"), rows)
    total = sum(quarantine.reasons.values())
    if total > len(quarantine.examples):
        yield html.paragraph(f"The first {len(quarantine.examples)} of {total:,}; quarantine.parquet has all:")
    yield html.table(("product", "path", "row", "reason", "what happened"), quarantine.examples)


def _provenance(record: Mapping[str, Any]) -> Iterator[str]:
    yield html.heading("Provenance")
    left_out = {"stage_seconds", "spectra_per_second"}
    rows = [row for key, value in record.items() if key not in left_out for row in _flat(key, value)]
    yield html.table(("", ""), rows)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner, below in value.items():
            yield from _flat(f"{key}.{inner}", below)
    elif isinstance(value, list):
        shown = ", ".join(map(str, value[:20]))
        yield key, shown + (f" and {len(value) - 20} more" if len(value) > 20 else "")
    elif value is not None:
        yield key, str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
