"""Read columns of Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from apnet_fast.support.errors import UsageError


class ParquetTable:
    """A Parquet file. names: of its columns, in the order of the file."""

    def __init__(self, file: pq.ParquetFile, where: str) -> None:
        self._file, self._where = file, where
        self._schema = file.schema_arrow
        self.names: list[str] = list(self._schema.names)
        self.rows: int = file.metadata.num_rows
        self.is_colfits = False

    def refusal(self, position: int) -> UsageError | None:
        """Return the error of a column that cannot be read, or None."""
        kind = self._schema.field(position).type
        if not (pa.types.is_nested(kind) or pa.types.is_null(kind)) or _is_list(kind) or pa.types.is_null(kind):
            return None
        return UsageError(
            f"the column {self.names[position]} holds {kind}",
            expected="text, numbers or logicals, one per row",
            remedy="leave the column out, or give it one value per row",
            where=self._where,
        )

    def read(self, positions: Sequence[int]) -> pa.Table:
        """Read columns by their numbers; text without outer blanks, dictionaries as their values."""
        names = [self.names[i] for i in positions]
        try:
            table = self._file.read(columns=names).select(names)
            # The reader takes the text of a damaged file as it is.
            table.validate(full=True)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(f"cannot read the Parquet file: {error}", where=self._where) from error
        columns = [_plain(table.column(i)) for i in range(len(names))]
        return pa.table(columns, names=[name.strip().lower() for name in names])


@contextmanager
def parquet_table(path: str, where: str) -> Iterator[ParquetTable]:
    """Open a Parquet file. Raises UsageError for one that cannot be read."""
    try:
        file = pq.ParquetFile(Path(path), memory_map=True)
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"cannot read the Parquet file: {error}", where=where) from error
    with file:
        yield ParquetTable(file, where)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionaries and views, its text without outer blanks."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.string())
    elif pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.binary())
    elif pa.types.is_null(kind):
        column = column.cast(pa.string())
    return pc.utf8_trim_whitespace(column) if pa.types.is_string(column.type) else column


def _is_list(kind: pa.DataType) -> bool:
    of_lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in of_lists) and not pa.types.is_nested(kind.value_type)
