"""Batches are looked at before they are sampled from: a sampling takes seconds to minutes, compiling included."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cal_grpo.errors import UsageError

COLUMNS = ("prompts", "question", "answer", "reference")

Batch = Mapping[str, Any]


class _Checked:
    """The same batches, each looked at when it is taken; as often as the iterable can be gone through."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches:
            _check(batch)
            yield batch


def with_columns(batches: Iterable[Batch]) -> Iterable[Batch]:
    """The same batches. The first is looked at now, the others when they are taken.

    Raises:
        UsageError: there is no batch, or one has no column that is needed or columns of different lengths.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise UsageError("the data has no batch; expected at least one")
    _check(first)
    # What can be gone through once only goes on from there.
    return _Checked(itertools.chain([first], iterator) if iterator is batches else batches)


def _check(batch: Batch) -> None:
    missing = [name for name in COLUMNS if name not in batch]
    if missing:
        raise UsageError(f"the batch has no column {missing[0]!r}; expected the columns {', '.join(COLUMNS)}")
    rows = {name: len(batch[name]) for name in COLUMNS}
    if len(set(rows.values())) > 1:
        raise UsageError(f"the batch's columns differ in length ({rows}); expected one value a question in each")
