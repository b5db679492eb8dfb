"""The characters of the decoded text that each sampled token contributed to."""

from typing import Any

import numpy as np

from cal_grpo.alignment.table import TokenTable
from cal_grpo.alignment.utf8 import characters


def by_table(ids_T: np.ndarray, table: TokenTable) -> tuple[str, np.ndarray, np.ndarray]:
    """The text that the pieces make, and ``starts_T``, ``ends_T``; linear in T."""
    known_T = ids_T < len(table.pieces)
    known_T[known_T] = table.known_V[ids_T[known_T]]
    kept = ids_T if known_T.all() else ids_T[known_T]  # the tokenizer, too, skips what it does not know
    parts = list(map(table.pieces.__getitem__, kept.tolist()))
    lengths = table.lengths_V[kept]
    if len(kept) and (opener := table.openers.get(int(kept[0]))) is not None:
        parts[0], lengths[0] = opener, len(opener)

    inside: list[tuple[np.ndarray, list[int]]] = []
    for run in _runs(np.flatnonzero(table.partial_V[kept])):
        last = run[-1]
        parts[last], owners = characters(b"".join(table.raw[i] for i in kept[run].tolist()), table.all_or_nothing)
        lengths[last] = len(parts[last])
        inside.append((run, owners))

    ends = np.cumsum(lengths)
    starts = ends - lengths
    for run, owners in inside:
        base, at = int(starts[run[0]]), 0
        for t in run.tolist():
            size = len(table.raw[int(kept[t])])
            starts[t], ends[t] = base + owners[at], base + owners[at + size - 1] + 1
            at += size

    text, left = _stripped("".join(parts), table.strip)
    starts, ends = (np.clip(x - left, 0, len(text)) for x in (starts, ends))
    if len(kept) == len(ids_T):
        return text, starts, ends
    # An unknown id is empty, between its neighbours; or shares the character that it stands in the middle of.
    following = np.cumsum(known_T)
    return text, np.append(starts, len(text))[following - known_T], np.insert(ends, 0, 0)[following]


def by_prefix(ids_T: np.ndarray, inner: Any, text: str) -> tuple[np.ndarray, np.ndarray]:
    """``starts_T`` and ``ends_T`` from how each prefix decodes, for any decoder; quadratic in T."""
    ids = ids_T.tolist()
    settled, ends_T = np.zeros(len(ids) + 1, np.int64), np.zeros(len(ids), np.int64)
    for t in range(len(ids)):
        prefix = inner.decode(ids[: t + 1], skip_special_tokens=False)
        agreed = _agreeing(prefix, text)
        settled[t + 1] = agreed
        # A prefix that ends within a character shows U+FFFD in its place, and its token shares the character.
        ends_T[t] = min(agreed + prefix[agreed:].startswith("\ufffd"), len(text))
    settled, ends_T = np.maximum.accumulate(settled), np.maximum.accumulate(ends_T)
    if ids:
        ends_T[-1] = len(text)
    return settled[:-1], ends_T


def _runs(positions: np.ndarray) -> list[np.ndarray]:
    """Increasing positions, as stretches of neighbours."""
    return np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1) if len(positions) else []


def _stripped(text: str, strip: tuple[str, int, int]) -> tuple[str, int]:
    what, most_left, most_right = strip
    left = right = 0
    while left < min(most_left, len(text)) and text[left] == what:
        left += 1
    while right < min(most_right, len(text) - left) and text[len(text) - 1 - right] == what:
        right += 1
    return text[left : len(text) - right], left


def _agreeing(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
