"""Make the sections of figures of a run's report. What a run does not know, its report says in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from apnet_fast.plots.errors import draw_errors
from apnet_fast.plots.histograms import draw_histograms
from apnet_fast.plots.kiel import draw_kiel, read_stars
from apnet_fast.plots.rate import draw_rate, read_progress
from apnet_fast.plots.sky import draw_sky, read_positions
from apnet_fast.plots.spectra import LabelledRows, read_labelled_rows
from apnet_fast.report.page import Bar, Bars, Section
from apnet_fast.report.run_folder import Catalogue, Quarantine, RunFolder
from apnet_fast.report.words import NAMES, count, picture_of, share, small_picture
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.repeats import RepeatsReport
from apnet_fast.validate.zscores import draw_z_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_sections(run: RunFolder, repeats: RepeatsReport | str | None) -> Iterator[Section]:
    """Yield the sections of figures.

    repeats: the test on repeated visits, or the reason why there is none; None without a visit catalogue.
    """
    yield _kiel(run)
    yield _sky(run)
    yield from _labels_and_errors(run)
    if repeats is not None:
        yield _z_scores(repeats)
    yield _flags(run)
    yield _failures(run.quarantine)
    yield _rate(run)


def _kiel(run: RunFolder) -> Section:
    pictures, missing = [], []
    for catalogue in run.catalogues:
        name = NAMES[catalogue.product]
        try:
            stars = read_stars(catalogue.path)
        except UsageError as error:
            missing.append(f"{name}: no diagram, {error}")
            continue
        bad = int(stars.bad.sum())
        caption = f"{name}: {count(len(stars))} rows with labels" + (
            f"; {count(bad)} with flag_bad are grey." if bad else "."
        )
        alt = (
            f"Kiel diagram of {name.lower()}: effective temperature from {stars.teff.min():.0f} to"
            f" {stars.teff.max():.0f} K against log g from {stars.logg.min():.2f} to {stars.logg.max():.2f},"
            " coloured by metallicity."
        )
        pictures.append(small_picture(draw_kiel(stars), alt, caption))
    return Section("kiel", "Kiel diagrams", " ".join(missing), pictures)


def _sky(run: RunFolder) -> Section:
    if not run.catalogues:
        return Section("sky", "Sky")
    catalogue = run.catalogues[0]
    try:
        positions = read_positions(catalogue.path)
    except UsageError as error:
        return Section("sky", "Sky", f"No map: {error}")
    shown, failed = count(len(positions)), count(int((~positions.labelled).sum()))
    caption = f"{NAMES[catalogue.product]}: {shown} positions"
    caption += f"; {count(positions.unknown)} rows have none." if positions.unknown else "."
    caption += " Galactic coordinates; longitude 0° is in the centre and increases to the left."
    alt = f"Map of the sky in Galactic coordinates with {shown} spectra, {failed} of them without labels."
    picture = picture_of(lambda columns: draw_sky(positions, narrow=columns == 1), alt, caption)
    return Section("sky", "Sky", pictures=[picture])


def _labels_and_errors(run: RunFolder) -> Iterator[Section]:
    products: dict[str, LabelledRows] = {}
    for catalogue in run.catalogues:
        try:
            products[catalogue.product] = read_labelled_rows(catalogue.path)
        except UsageError:
            continue
    if not products:
        yield Section("labels", "Labels", "No row has labels.")
        return
    shown = " and ".join(f"{count(int((~each.bad).sum()))} {_plural(name)}" for name, each in products.items())
    caption = f"{shown} without flag_bad, as shares of all stars or visits. Flagged spectra are grey."
    alt = f"Histograms of effective temperature, log g and metallicity of {shown}."
    histograms = picture_of(lambda columns: draw_histograms(products, columns), alt, caption)
    yield Section("labels", "Labels", pictures=[histograms])
    yield _errors(products)


def _plural(product: str) -> str:
    return f"{product}s"


def _errors(products: Mapping[str, LabelledRows]) -> Section:
    figure = draw_errors(products)
    if figure is None:
        return Section("errors", "Errors and S/N", "No unflagged spectrum has both an error and an S/N.")
    caption = (
        "Raw errors (standard deviation of the noise draws) of spectra without flag_bad, at most 3,000 points per"
        " product. Lines: running medians; dotted: published errors (e_)."
    )
    alt = "Errors of effective temperature, log g and metallicity against signal-to-noise ratio, on logarithmic axes."

    def draw(columns: int) -> Figure:
        return draw_errors(products, columns) or figure

    return Section("errors", "Errors and S/N", pictures=[picture_of(draw, alt, caption)])


def _z_scores(repeats: RepeatsReport | str) -> Section:
    title = "Errors against repeated visits"
    if isinstance(repeats, str):
        return Section("repeats", title, f"No z-scores: {repeats}")
    caption = (
        f"z-scores of all pairs of visits of the same star: {count(repeats.spectra)} unflagged spectra of"
        f" {count(repeats.stars)} stars; a star with n visits counts n - 1. Correct errors follow the grey curve and"
        " have a scatter of 1."
    )
    found = ", ".join(
        f"{one.label} {one.raw.scatter.text(2)} (raw) and {one.inflated.scatter.text(2)} (inflated)"
        for one in repeats.labels
    )
    alt = f"Histograms of z-scores over a standard normal curve. Scatter: {found}."
    return Section(
        "repeats", title, pictures=[picture_of(lambda columns: draw_z_scores(repeats, columns), alt, caption)]
    )


def _flags(run: RunFolder) -> Section:
    return Section("flags", "Flags", bars=[_flag_bars(each) for each in run.catalogues])


def _flag_bars(catalogue: Catalogue) -> Bars:
    table = catalogue.flag_table
    known = {bit.number: bit for bit in table.bits} if table else {}
    longest = max([*catalogue.bits.values(), catalogue.warn, catalogue.bad, 1])

    def bar(name: str, rows: int, kind: str, note: str) -> Bar:
        return Bar(name, rows / longest, f"{count(rows)}  ({share(rows, catalogue.rows)})", kind, note)

    bars = [bar("flag_bad", catalogue.bad, "bad", "any flag marked bad")] if catalogue.bad else []
    bars += [bar("flag_warn", catalogue.warn, "warn", "any flag marked warn")] if catalogue.warn else []
    for number, rows in sorted(catalogue.bits.items(), key=lambda item: -item[1]):
        bit = known.get(number)
        bad = table is not None and bit is not None and bit.name in table.bad
        warn = table is not None and bit is not None and bit.name in table.warn
        roles = " + ".join(role for role, has in (("warn", warn), ("bad", bad)) if has)
        meaning = f"bit {number}" + (f", {roles}" if roles else "") + (f": {bit.description}" if bit else "")
        name = bit.name if bit else f"bit {number}, not in the table"
        bars.append(bar(name, rows, "bad" if bad else "warn" if warn else "", meaning))
    unset = [bit.name for number, bit in known.items() if not catalogue.bits.get(number)]
    note = f"Never set: {', '.join(unset)}. " if unset else ""
    note += f"Table of bits: {table.name} ({table.source})." if table else "The catalogue names no table of bits."
    return Bars(f"{NAMES[catalogue.product]}: {count(catalogue.rows)} rows", bars, note)


def _failures(quarantine: Quarantine | None) -> Section:
    title = "Spectra without a result"
    if quarantine is None:
        return Section("failures", title, "The list of failures is not there.")
    if not quarantine.reasons:
        return Section("failures", title, "None: every spectrum has a result.")
    longest = max(quarantine.reasons.values())
    groups = []
    for product in dict.fromkeys(product for product, _ in quarantine.reasons):
        mine = {reason: rows for (each, reason), rows in quarantine.reasons.items() if each == product}
        bars = [
            Bar(reason, rows / longest, count(rows), "bad")
            for reason, rows in sorted(mine.items(), key=lambda x: -x[1])
        ]
        groups.append(Bars(f"{NAMES.get(product, product)}: {count(sum(mine.values()))} by reason", bars))
    return Section("failures", title, bars=groups)


def _rate(run: RunFolder) -> Section:
    try:
        progress = read_progress([each.path for each in run.catalogues], run.started)
    except UsageError as error:
        return Section("rate", "Rate", f"No curve: {error}")
    if progress is None:
        return Section("rate", "Rate", "The catalogues hold too few times of shards for a curve.")
    total, seconds = progress.total[-1] - progress.total[0], progress.seconds[-1]
    caption = (
        f"Spectra per second, from the times at which shards were finished: {count(int(total))} spectra in"
        f" {seconds:,.0f} s. Pauses between commands lower it."
    )
    alt = f"Rate over time; the mean is {total / seconds:.4g} spectra per second."
    return Section(
        "rate",
        "Rate over time",
        pictures=[picture_of(lambda columns: draw_rate(progress, narrow=columns == 1), alt, caption)],
    )
