"""Compare a run's catalogues with earlier ones, for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.report.page import Picture, Section, Table
from apnet_fast.report.run_folder import Catalogue, catalogue_files
from apnet_fast.report.words import NAMES, count, number, percent, picture_of
from apnet_fast.spectra.batch import Product
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.compare import COMPARED, SIGMAS, CatalogueComparison, compare_rows
from apnet_fast.validate.differences import draw_differences
from apnet_fast.validate.matched_rows import MatchedRows, match_rows, product_of

_OUTLIERS = 10
_UNCHANGED = "Flags that changed for no row are left out."


@dataclass(frozen=True)
class ProductComparison:
    """One product of the run (B) against an earlier catalogue of it (A)."""

    product: Product
    earlier: Path
    rows: MatchedRows
    result: CatalogueComparison


def compare_with(catalogues: Sequence[Catalogue], against: Sequence[Path]) -> list[ProductComparison]:
    """Compare the run's catalogues with earlier ones.

    against: catalogues (FITS or Parquet), or output folders of earlier runs. Raises UsageError if one cannot be
    compared: it holds neither stars nor visits, the run lacks its product, or no spectrum is common.
    """
    out = []
    for path in against:
        for product, earlier in _earlier(path).items():
            ours = [each for each in catalogues if each.product == product]
            if not ours:
                if not path.is_dir():
                    raise UsageError(f"the run has no catalogue of {product}s to compare", got=str(path))
                continue
            rows = match_rows(earlier, ours[0].path, COMPARED)
            result = compare_rows(rows, earlier, ours[0].path, outliers=_OUTLIERS)
            out.append(ProductComparison(product, earlier, rows, result))
    return out


def _earlier(path: Path) -> dict[Product, Path]:
    if path.is_dir():
        files = catalogue_files(path) or catalogue_files(path, "fits")
        if not files:
            raise UsageError("no catalogue in this folder", got=str(path), expected="the output of an earlier run")
        return files
    product = product_of(path)
    if product == "star":
        return {"star": path}
    if product == "visit":
        return {"visit": path}
    raise UsageError(
        "cannot find out whether the catalogue is of stars or of visits",
        got=str(path),
        expected="a card PRODUCT, or the columns min_mjd (stars) or mjd and fiber (visits)",
    )


def comparison_figures(comparisons: Sequence[ProductComparison]) -> Section:
    """Return the section of figures: this run minus the earlier catalogue."""
    pictures = [_picture(each) for each in comparisons]
    text = f"Compared with {', '.join(str(each.earlier) for each in comparisons)}."
    return Section("earlier", "Change since the earlier catalogue", text, pictures)


def _picture(comparison: ProductComparison) -> Picture:
    result, name = comparison.result, NAMES[comparison.product]
    changes = ", ".join(
        f"{one.label} {number(one.bias, one.label)} ± {number(one.scatter, one.label)}" for one in result.labels
    )
    caption = (
        f"{name}: this run minus the earlier catalogue, {count(result.common)} common rows, by"
        f" {', '.join(result.key)}. Rows flagged in either catalogue are grey; the dashed line is the median of the"
        " others."
    )
    alt = f"Differences of the labels against the earlier labels, {name.lower()}. Median ± robust scatter: {changes}."
    return picture_of(lambda columns: draw_differences(comparison.rows, columns), alt, caption)


def comparison_tables(comparisons: Sequence[ProductComparison]) -> Section:
    """Return the section of tables: differences, changed flags, and the rows that differ most."""
    tables = [table for each in comparisons for table in _tables(each)]
    return Section("earlier-numbers", "Numbers of the change", tables=tables)


def _tables(comparison: ProductComparison) -> Iterator[Table]:
    result, name = comparison.result, NAMES[comparison.product]
    beyond = [f"> {sigma:g} σ" for sigma in SIGMAS]
    rows = [
        (
            one.label,
            count(one.rows),
            number(one.bias, one.label),
            number(one.scatter, one.label),
            number(one.largest, one.label),
            *(percent(share) for share in one.beyond),
            number(one.error_ratio),
        )
        for one in result.labels
    ]
    note = f"{count(result.only_a)} rows are only in the earlier catalogue, {count(result.only_b)} only in this run."
    if not result.only_a + result.only_b:
        note = "Both catalogues have the same spectra."
    note += f" {count(result.ambiguous)} rows are left out because their key is not unique." if result.ambiguous else ""
    nan = [f"{one.label} {count(one.only_a)} / {count(one.only_b)}" for one in result.labels if one.only_a + one.only_b]
    note += f" Labels lost / gained: {', '.join(nan)}." if nan else ""
    head = ("", "rows", "median", "scatter", "largest", *beyond, "raw error ratio")
    yield Table(f"{name}: this run minus the earlier catalogue", head, rows, frozenset(range(1, 10)), note=note)
    changed = [one for one in result.flags if one.only_a or one.only_b]
    if changed or result.note:
        flags = [(one.flag, count(one.both), count(one.only_a), count(one.only_b)) for one in changed]
        note = f"{result.note} A is the earlier catalogue, B this run." if result.note else _UNCHANGED
        head = ("", "set in both", "earlier only", "this run only")
        yield Table(f"{name}: changed flags", head, flags, frozenset({1, 2, 3}), note=note)
    if result.outliers:
        worst = [(row.key, row.label, f"{row.a:.6g}", f"{row.b:.6g}", f"{row.sigmas:.3g}") for row in result.outliers]
        head = ("spectrum", "label", "earlier", "this run", "difference [σ]")
        yield Table(f"{name}: rows that differ most", head, worst, frozenset({2, 3, 4}), frozenset({0}), folded=True)
