"""Turn arrays into structured arrays of labels: all at once, or as a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.api import ApogeeNet, check_ids
from apnet_fast.backends.stream import Spectrum, batch_size_of, label_stream
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.recipes.photometry import as_photometry
from apnet_fast.spectra.containers import Flux
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.quantities import flux_and_error
from apnet_fast.support.errors import UsageError

StreamItem = tuple[ArrayLike, ArrayLike, object] | tuple[ArrayLike, ArrayLike, object, ArrayLike | None]
StreamChunk = tuple[NDArray, NDArray, Sequence[object]] | tuple[NDArray, NDArray, Sequence[object], NDArray]


def predict(
    net: ApogeeNet,
    flux: Flux,
    error: ArrayLike | None = None,
    ids: Iterable[object] | None = None,
    *,
    draws: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    photometry: ArrayLike | None = None,
    simulated: bool = False,
) -> NDArray[np.void]:
    """Return the labels of n spectra in batches, so that memory-mapped arrays may have any length.

    flux, error: (n, 8575), or (8575,) for one spectrum, as `ApogeeNet.predict` takes them. Two-dimensional arrays are
    read a batch at a time; anything else is turned into one array first. ids: n keys of the noise; default the place
    in the array. photometry: (n, 7) as `ApogeeNet.predict` takes it, for v2. Returns a structured array (n,) of the
    catalogue's label columns (`ApogeeNet.label_dtype`). batch_size: as `label_stream` takes it. simulated: as
    `ApogeeNet.predict` takes it. Raises UsageError, and warns once, as `ApogeeNet.predict` does.
    """
    check_ids(ids)
    fluxes, errors = _rows(flux, error)
    names = range(len(fluxes)) if ids is None else list(ids)
    if len(np.shape(fluxes)) != 2 or np.shape(fluxes) != np.shape(errors) or len(names) != len(fluxes):
        raise UsageError(
            "flux, error and ids do not fit together",
            got=f"flux {np.shape(fluxes)}, error {np.shape(errors)}, {'no' if ids is None else len(names)} ids",
            expected="flux and error (n, 8575) and n ids, or none",
        )
    known = None if photometry is None else as_photometry(np.atleast_2d(without_mask(photometry)), len(fluxes))
    draws = net.recipe.default_draws if draws is None else draws
    batch_size = batch_size_of(net, draws, batch_size)
    out, counts = np.empty(len(fluxes), dtype=net.label_dtype), FluxCounts()
    for start in range(0, len(fluxes), batch_size):
        rows = slice(start, min(start + batch_size, len(fluxes)))
        out[rows], found = net.predict_and_count(
            fluxes[rows],
            errors[rows],
            names[rows],
            draws=draws,
            seed=seed,
            photometry=None if known is None else known[rows],
            simulated=simulated,
        )
        counts += found
    net.warn(counts, simulated=simulated, stacklevel=3)
    return out


def _rows(flux: Any, error: Any) -> tuple[Any, Any]:
    """Return flux and errors as two-dimensional values that can be cut into batches, without a copy if possible."""
    if all(len(getattr(values, "shape", ())) == 2 and not hasattr(values, "uncertainty") for values in (flux, error)):
        return flux, error
    flux, error = flux_and_error(flux, error)
    return np.atleast_2d(without_mask(flux)), np.atleast_2d(without_mask(error))


def stream(
    net: ApogeeNet,
    spectra: Iterable[StreamItem],
    *,
    draws: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    simulated: bool = False,
) -> Iterator[np.void]:
    """Yield the labels of a stream of (flux, error, id), flux and error (8575,): one row each, in order, on demand.

    A fourth element, photometry (7,) as in `Spectrum`, is for v2, whose rows have the medians of the draws. At most
    one batch is read ahead. A spectrum without data, of another length, or with negative errors gets a row with NaN
    labels and the recipe's "no result" bit. Raises UsageError for an item that is not a tuple or list of three or four,
    and for units that are not those of flux; warns as `label_stream` does.
    """
    # Check items before the stream reads them: an error in reading is the spectrum's fault, this one the caller's.
    items = (Spectrum(*_parts(item, "flux, error and an id")) for item in spectra)
    for result in label_stream(
        net, items, _as_it_is, draws=draws, seed=seed, batch_size=batch_size, simulated=simulated
    ):
        yield result.labels


def stream_chunks(
    net: ApogeeNet,
    chunks: Iterable[StreamChunk],
    *,
    draws: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    simulated: bool = False,
) -> Iterator[NDArray[np.void]]:
    """Yield the labels of a stream of (flux, error, ids), flux and error (m, 8575) with any m: one array (m,) each.

    A fourth element, photometry (m, 7), is for v2, whose arrays have the medians of the draws. The engine gets batches
    of `batch_size` whatever the sizes of the chunks, which are read as far ahead as one batch needs. Raises UsageError
    for a chunk whose arrays do not fit together, or that is not a tuple of three or four.
    """
    sizes: deque[int] = deque()
    spectra = _one_by_one(chunks, sizes)
    rows = stream(net, spectra, draws=draws, seed=seed, batch_size=batch_size, simulated=simulated)
    for first in rows:
        while sizes[0] == 0:
            yield np.empty(sizes.popleft(), dtype=net.label_dtype)
        size = sizes.popleft()
        labels = np.empty(size, dtype=net.label_dtype)
        labels[0] = first
        for i, row in enumerate(islice(rows, size - 1), start=1):
            labels[i] = row
        yield labels
    for size in sizes:
        yield np.empty(size, dtype=net.label_dtype)


def _one_by_one(chunks: Iterable[StreamChunk], sizes: deque[int]) -> Iterator[StreamItem]:
    for chunk in chunks:
        flux, error, ids, *more = _parts(chunk, "flux, error and ids")
        check_ids(ids)
        if not all(len(values) == len(flux) for values in (error, ids, *more)):
            raise UsageError(
                "a chunk's arrays do not fit together",
                got=f"{len(flux)} fluxes, {len(error)} errors, {len(ids)} ids"
                + "".join(f", {len(values)} of photometry" for values in more),
                expected="as many of each",
            )
        sizes.append(len(flux))
        yield from zip(flux, error, ids, *more, strict=True)


def _parts(item: Any, what: str) -> Sequence[Any]:
    """Return an item that is a tuple, list or structured row of three (`what`), or of four with photometry."""
    parts = item.item() if isinstance(item, np.void) else item
    whole = isinstance(parts, tuple | list)
    if whole and len(parts) in (3, 4):
        return parts
    kind = type(parts).__name__
    raise UsageError(
        f"a stream's items are tuples of {what}",
        got=f"a {kind} of {len(parts)}" if whole else kind,
        expected="three, or four with photometry",
        remedy="zip(flux, error, names)",
    )


def _as_it_is(spectrum: Spectrum) -> Spectrum:
    return spectrum
