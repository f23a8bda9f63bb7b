"""A stand-in for the package `astra`, as far as its public contract for tasks goes, on a database in memory.

Written from the contract: a task is a generator whose return annotation names its model; the decorator takes its
harness's arguments, counts `...` as overhead, inserts rows in bulk and yields them once they are saved.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import peewee
import pytest
from numpy.typing import NDArray

VERSION = "0.6.0"


def install(monkeypatch: pytest.MonkeyPatch, flux: NDArray, ivar: NDArray) -> type[Any]:
    """Put the package into sys.modules, with one coadd for each row of flux and ivar (n, 8575); return its model."""
    database = peewee.SqliteDatabase(":memory:")

    class Coadd(peewee.Model):
        spectrum_pk = peewee.IntegerField(unique=True)
        source_pk = peewee.IntegerField()

        @property
        def flux(self) -> NDArray:
            return flux[self.spectrum_pk]

        @property
        def ivar(self) -> NDArray:
            return ivar[self.spectrum_pk]

    class ApogeeNet(peewee.Model):
        task_pk = peewee.AutoField()
        spectrum_pk = peewee.IntegerField()
        source_pk = peewee.IntegerField()
        v_astra = peewee.TextField(default=VERSION)
        t_elapsed = peewee.FloatField(null=True)
        t_overhead = peewee.FloatField(null=True)
        teff = peewee.FloatField(null=True)
        e_teff = peewee.FloatField(null=True)
        logg = peewee.FloatField(null=True)
        e_logg = peewee.FloatField(null=True)
        fe_h = peewee.FloatField(null=True)
        e_fe_h = peewee.FloatField(null=True)
        raw_e_teff = peewee.FloatField(null=True)
        raw_e_logg = peewee.FloatField(null=True)
        raw_e_fe_h = peewee.FloatField(null=True)
        result_flags = peewee.BitField(default=0)
        flag_runtime_exception = result_flags.flag(1)

    models = (Coadd, ApogeeNet)
    database.bind(models)
    database.create_tables(models)
    Coadd.insert_many([{"spectrum_pk": i, "source_pk": 100 + i} for i in range(len(flux))]).execute()
    packages = {
        "astra": {"task": task, "__version__": VERSION},
        "astra.models": {},
        "astra.models.apogee": {"ApogeeCoaddedSpectrumInApStar": Coadd},
        "astra.models.apogeenet": {"ApogeeNet": ApogeeNet},
    }
    for name, content in packages.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return ApogeeNet


def task(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Decorate a task: save its rows, a few at a time, with the time that was not spent on any of them."""
    model = function.__annotations__["return"].__args__[0]

    @functools.wraps(function)
    def run(*given: Any, batch_size: int = 3, **options: Any) -> Iterator[Any]:
        waiting: list[Any] = []
        overhead, began = 0.0, time.perf_counter()
        for row in function(*given, live=False, live_renderable=None, **options):
            if row is ...:
                overhead, began = overhead + time.perf_counter() - began, time.perf_counter()
                continue
            assert isinstance(row, model)
            assert row.task_pk is None
            row.t_overhead = overhead
            waiting.append(row)
            if len(waiting) == batch_size:
                yield from _saved(model, waiting)
        yield from _saved(model, waiting)

    return run


def _saved(model: type[Any], rows: list[Any]) -> Iterator[Any]:
    model.bulk_create(rows)
    yield from rows
    rows.clear()
