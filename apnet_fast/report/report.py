"""Assemble the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apnet_fast.report.comparison import compare_with, comparison_figures, comparison_tables
from apnet_fast.report.figures import figure_sections
from apnet_fast.report.page import Box, Page, render
from apnet_fast.report.run_folder import RunFolder, read_run
from apnet_fast.report.tables import provenance, table_sections
from apnet_fast.report.words import NAMES, count, share
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.pairs import Selection
from apnet_fast.validate.repeats import RepeatsReport, validate_repeats

_BOOTSTRAP = 200


def report_of(folder: Path, against: Sequence[Path] = ()) -> str:
    """Return the report of the run in a folder, as one HTML document that loads nothing.

    against: earlier catalogues, or output folders of earlier runs, to compare with. Raises UsageError if there is no
    run, or if an earlier catalogue cannot be compared.
    """
    run = read_run(folder)
    # First, because it may fail, and figures take time.
    comparisons = compare_with(run.catalogues, against)
    repeats = _repeats(run)
    figures = [*figure_sections(run, repeats)]
    tables = [*table_sections(run, repeats)]
    if comparisons:
        figures.append(comparison_figures(comparisons))
        tables.append(comparison_tables(comparisons))
    return render(
        Page(
            title=f"ApogeeNet run: {folder.resolve().name}",
            lead=_lead(run),
            boxes=_boxes(run),
            figures=[each for each in figures if each],
            tables=[each for each in tables if each],
            folded=[provenance(run.record)],
        )
    )


def _repeats(run: RunFolder) -> RepeatsReport | str | None:
    for catalogue in run.catalogues:
        if catalogue.product == "visit":
            try:
                return validate_repeats(catalogue.path, Selection(), bootstrap=_BOOTSTRAP)
            except UsageError as error:
                return str(error)
    return None


def _lead(run: RunFolder) -> str:
    record, fingerprint = run.record, run.fingerprint
    weights = record.get("weights")
    words = [
        record.get("software"),
        f"recipe {fingerprint.get('recipe', '?')}",
        f"network {weights['network']}" if isinstance(weights, dict) and weights.get("network") else "",
        f"{fingerprint['draws']} draws" if fingerprint.get("draws") is not None else "",
        f"finished {str(record.get('finished', '?'))[:16].replace('T', ' ')}",
    ]
    return " · ".join(str(each) for each in words if each)


def _boxes(run: RunFolder) -> list[Box]:
    boxes = [
        Box(count(each.rows), NAMES[each.product], f"{share(each.with_labels, each.rows)} with labels")
        for each in run.catalogues
    ]
    rows, bad = sum(each.rows for each in run.catalogues), sum(each.bad for each in run.catalogues)
    if rows:
        boxes.append(Box(share(bad, rows), "flag_bad", f"{count(bad)} spectra"))
    if run.quarantine is not None:
        failures = sum(run.quarantine.reasons.values())
        kinds = len({reason for _, reason in run.quarantine.reasons})
        boxes.append(Box(count(failures), "without a result", f"{kinds} reason{'' if kinds == 1 else 's'}"))
    if isinstance(run.record.get("files"), int):
        boxes.append(Box(count(run.record["files"]), "apStar files"))
    if isinstance(run.record.get("spectra_per_second"), float):
        computed = run.record.get("spectra_this_run")
        detail = f"{count(computed)} by the last command" if isinstance(computed, int) else ""
        boxes.append(Box(f"{run.record['spectra_per_second']:,.4g}", "spectra per second", detail))
    return boxes
