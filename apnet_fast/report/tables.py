"""Make the tables of a run's report. Rows of zeros are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from apnet_fast.plots.spectra import read_labelled_rows
from apnet_fast.recipes.labels import LABELS
from apnet_fast.report.page import Section, Table
from apnet_fast.report.run_folder import Quarantine, RunFolder
from apnet_fast.report.words import NAMES, count, number, share
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.repeats import RepeatsReport

_LIST_SHOWN = 20


def table_sections(run: RunFolder, repeats: RepeatsReport | str | None) -> Iterator[Section]:
    """Yield the sections of tables: counts, labels, the test on repeated visits, stages, failures."""
    tables = [_counts(run), *_labels(run)]
    yield Section("counts", "Counts and labels", tables=[table for table in tables if table.rows])
    if isinstance(repeats, RepeatsReport):
        yield Section("repeats-numbers", "Repeated visits", _selected(repeats), tables=[*_repeats(repeats)])
    yield Section("stages", "Stages", _wall(run.record), tables=[*_stages(run.record)])
    if run.quarantine is not None and run.quarantine.examples:
        yield Section("quarantine", "Failures one by one", tables=[_examples(run.quarantine)])


def provenance(record: Mapping[str, Any]) -> Table:
    """Return the content of run.json as a folded table."""
    left_out = {"stage_seconds", "spectra_per_second"}
    rows = [row for key, value in record.items() if key not in left_out for row in _flat(key, value)]
    return Table("Provenance (run.json)", ("", "value"), rows, paths=frozenset({1}), folded=True)


def _counts(run: RunFolder) -> Table:
    rows = [
        (
            NAMES[each.product],
            count(each.rows),
            f"{count(each.with_labels)} ({share(each.with_labels, each.rows)})",
            count(each.rows - each.with_labels),
            f"{count(each.warn)} ({share(each.warn, each.rows)})",
            f"{count(each.bad)} ({share(each.bad, each.rows)})",
        )
        for each in run.catalogues
    ]
    head = ("", "rows", "with labels", "without", "flag_warn", "flag_bad")
    return Table("Rows of the catalogues", head, rows, frozenset(range(1, 6)))


def _labels(run: RunFolder) -> Iterator[Table]:
    for catalogue in run.catalogues:
        try:
            measured = read_labelled_rows(catalogue.path)
        except UsageError:
            continue
        good, rows = ~measured.bad, []
        for label in LABELS if good.any() else ():
            low, middle, high = np.percentile(measured.labels[label][good], (16, 50, 84))
            errors = (measured.raw_errors[label][good], measured.errors[label][good])
            medians = [
                float(np.median(each[np.isfinite(each)])) if np.isfinite(each).any() else np.nan for each in errors
            ]
            rows.append((label, *(number(float(value), label) for value in (middle, low, high, *medians))))
        head = ("", "median", "16 %", "84 %", "median raw error", "median e_")
        name = NAMES[catalogue.product]
        yield Table(f"{name}: labels without flag_bad", head, rows, frozenset(range(1, 6)))


def _selected(repeats: RepeatsReport) -> str:
    text = (
        f"{count(repeats.rows)} rows, {count(repeats.selected)} of them selected (result_flags = 0); of these,"
        f" {count(repeats.spectra)} are repeats of {count(repeats.stars)} stars (by {repeats.star_column}, at most"
        f" {repeats.most_visits} visits each)."
    )
    if repeats.copies:
        text += f" {count(repeats.copies)} copies of selected spectra are left out."
    if repeats.not_judged:
        text += f" There are too few stars to judge {', '.join(repeats.not_judged)}."
    return text


def _repeats(repeats: RepeatsReport) -> Iterator[Table]:
    z = [
        (
            one.label,
            count(one.pairs),
            one.raw.scatter.text(3),
            one.inflated.scatter.text(3),
            f"{100 * one.inflated.beyond_3:.2f} %",
        )
        for one in repeats.labels
    ]
    head: tuple[str, ...] = ("", "pairs", "scatter of z, raw", "scatter of z, inflated", "|z| > 3, inflated")
    yield Table("z-scores (scatter is 1 and |z| > 3 is 0.27 % for correct errors)", head, z, frozenset(range(1, 5)))
    fits = []
    for one in repeats.labels:
        digits = 1 if one.unit == "K" else 4
        scale, offset = one.published
        known = np.isfinite(one.scale.value)
        fits.append(
            (
                one.label,
                f"{scale:.3g} raw + {offset:.3g} {one.unit}",
                one.scale.text(3) if known else "not separable",
                f"{one.offset.text(digits)} {one.unit}" if known else "not separable",
                "; ".join(f"{each.ratio.text(2)} at {each.raw_error:.3g}" for each in one.comparisons),
            )
        )
    head = ("", "published error", "fitted scale", "fitted offset", "fitted / published, at raw error")
    yield Table("Noise model e = scale × raw error + offset", head, fits)


def _stages(record: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the seconds per stage. run.json has a number per stage, or a mapping such as busy and waiting."""
    stages = _mapping(record.get("stage_seconds"))
    kinds = list(dict.fromkeys(kind for seconds in stages.values() for kind in _mapping(seconds))) or ["seconds"]
    seconds = {stage: given if isinstance(given, Mapping) else {kinds[0]: given} for stage, given in stages.items()}
    values = {stage: [_number(given.get(kind)) for kind in kinds] for stage, given in seconds.items()}
    rows = [(stage, *(number(each) for each in row)) for stage, row in values.items() if any(row)]
    if rows:
        units = [kind if kind == "seconds" else f"{kind} [s]" for kind in kinds]
        yield Table("Seconds per stage", ("", *units), rows, frozenset(range(1, len(kinds) + 1)))


def _wall(record: Mapping[str, Any]) -> str:
    if not _mapping(record.get("stage_seconds")):
        return ""
    wall = _number(record.get("wall_seconds"))
    return "Times of the command that finished the run." + (f" It took {wall:,.4g} s; stages overlap." if wall else "")


def _examples(quarantine: Quarantine) -> Table:
    total = sum(quarantine.reasons.values())
    rows = [(product, reason, text, path, count(row)) for product, path, row, reason, text in quarantine.examples]
    title = f"{count(total)} spectra without a result"
    if total > len(rows):
        title = f"The first {len(rows)} of {count(total)} spectra without a result; quarantine.parquet has all"
    return Table(
        title,
        ("product", "reason", "what was found", "path", "row"),
        rows,
        frozenset({4}),
        frozenset({2, 3}),
        folded=True,
    )


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner, below in value.items():
            yield from _flat(f"{key}.{inner}", below)
    elif isinstance(value, list):
        shown = ", ".join(map(str, value[:_LIST_SHOWN]))
        if value:
            yield key, shown + (f" and {len(value) - _LIST_SHOWN} more" if len(value) > _LIST_SHOWN else "")
    elif value is not None and value != "":
        yield key, str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
