"""The characters of the decoded text that each sampled token contributed to."""

from typing import Any

import numpy as np

from cal_grpo.alignment.table import UNKNOWN, TokenTable
from cal_grpo.alignment.utf8 import characters


def by_table(ids_T: np.ndarray, table: TokenTable) -> tuple[str, np.ndarray, np.ndarray]:
    """The text that the pieces make, and ``starts_T``, ``ends_T``; linear in T."""
    kinds_T = table.kinds_V.take(ids_T, mode="clip")
    if not kinds_T.any() or (known_T := kinds_T != UNKNOWN).all():
        return _known(ids_T, kinds_T, table)
    # The tokenizer, too, skips what it does not know.
    text, starts, ends = _known(ids_T[known_T], kinds_T[known_T], table)
    # An unknown id is empty, between its neighbours; or shares the character that it stands in the middle of.
    following = np.cumsum(known_T)
    return text, np.append(starts, len(text))[following - known_T], np.insert(ends, 0, 0)[following]


def _known(ids_T: np.ndarray, kinds_T: np.ndarray, table: TokenTable) -> tuple[str, np.ndarray, np.ndarray]:
    parts: list[str] = table.pieces_V.take(ids_T).tolist()
    lengths_T = table.lengths_V.take(ids_T)
    if parts and (opener := table.openers.get(int(ids_T[0]))) is not None:
        parts[0], lengths_T[0] = opener, len(opener)

    runs = [(run, [table.raw[i] for i in ids_T[run].tolist()]) for run in _runs(kinds_T.nonzero()[0])]
    owners: list[list[int]] = []
    for run, raws in runs:  # the last token of a run stands for all of it, for now
        last = run[-1]
        parts[last], of_bytes = characters(b"".join(raws), table.all_or_nothing)
        lengths_T[last] = len(parts[last])
        owners.append(of_bytes)

    ends_T = lengths_T.cumsum()
    starts_T = ends_T - lengths_T
    for (run, raws), of_bytes in zip(runs, owners, strict=True):
        base, at = int(starts_T[run[0]]), 0
        for t, raw in zip(run.tolist(), raws, strict=True):
            starts_T[t], ends_T[t] = base + of_bytes[at], base + of_bytes[at + len(raw) - 1] + 1
            at += len(raw)

    text = "".join(parts)
    stripped, left = _stripped(text, table.strip)
    if len(stripped) < len(text):
        for places_T in (starts_T, ends_T):
            places_T -= left
            np.minimum(np.maximum(places_T, 0, out=places_T), len(stripped), out=places_T)
    return stripped, starts_T, ends_T


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
