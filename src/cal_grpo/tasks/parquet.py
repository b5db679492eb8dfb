"""Questions from a Parquet file."""

from pathlib import Path
from typing import TYPE_CHECKING

from cal_grpo.errors import UsageError
from cal_grpo.tasks.rows import parse_row
from cal_grpo.tasks.types import USUAL, Example, Fields

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"


def read_parquet(file: Path, fields: Fields = USUAL) -> list[Example]:
    """Every question of a file.

    Raises:
        UsageError: the file cannot be read or is empty, or a row is no question; the message has the row's number, from 1.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        rows = _spelled(pyarrow.parquet.read_table(file)).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as e:
        reason = " ".join(str(e).split())[:200]
        raise UsageError(f"data {file}: cannot be read as Parquet ({reason}); check the file") from e
    if not rows:
        raise UsageError(f"data {file}: empty; expected a row a question")
    return [parse_row(row, f"data {file}, row {number}", fields) for number, row in enumerate(rows, 1)]


def _spelled(table: "pyarrow.Table") -> "pyarrow.Table":
    """Its short floats as the nearest long ones to what they are written as: 0.1, not 0.10000000149011612."""
    import pyarrow

    for at, field in enumerate(table.schema):
        if field.type == pyarrow.float32():
            written = table.column(at).cast(pyarrow.string())
            table = table.set_column(at, field.name, written.cast(pyarrow.float64()))
    return table
