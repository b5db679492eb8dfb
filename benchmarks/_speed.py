"""Time to map one quote, against re-tokenising the text before it and up to its end."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from _gold import Bench, lines

from cal_grpo.alignment import Aligner, Decoded
from cal_grpo.alignment.offsets import by_table
from cal_grpo.alignment.table import token_table

LENGTHS = (256, 512, 1024, 4096, 16384)


def _best(call: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of some calls: what others do on the machine only ever adds."""
    best = float("inf")
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best


def speed(bench: Bench, texts: Sequence[str], samples: int = 40) -> dict[str, Any]:
    """Medians over ``samples`` responses of each length, microseconds.

    Both sides start from the decoded text and a tokenizer that is ready. Ours: the characters of every token, and the
    quote's tokens. The other: encode ``text[:start]`` and ``text[:end]`` and count. The quote is a random line.
    """
    rng = random.Random(f"speed/{bench.name}")
    return {str(length): _at(bench, texts, length, rng, samples if length < 4096 else samples // 4) for length in LENGTHS}


def _at(bench: Bench, texts: Sequence[str], length: int, rng: random.Random, samples: int) -> dict[str, Any]:
    table = token_table(bench.tokenizer)
    assert table is not None
    aligner = Aligner(bench.tokenizer, max_span_tokens=1 << 20)
    times: dict[str, list[float]] = {}
    for _ in range(samples):
        ids: list[int] = []
        while len(ids) < length:
            ids += bench.encode(rng.choice(texts) + "\n")
        ids = ids[:length]
        ids_T = np.array(ids)
        text = bench.tokenizer.decode(ids, skip_special_tokens=False)
        start, end = rng.choice(lines(text)[:-1])
        quote, hint = text[start:end], text[max(0, start - 80) : start]

        def mapped(quote: str, ids_T: np.ndarray = ids_T, hint: str = hint) -> object:
            joined, starts_T, ends_T = by_table(ids_T, table)
            return aligner.map(Decoded(joined, starts_T, ends_T, np.zeros(len(ids_T), bool)), quote, hint)

        def retokenized(text: str = text, start: int = start, end: int = end) -> object:
            return [len(bench.tokenizer.encode(text[:at], add_special_tokens=False)) for at in (start, end)]

        calls: dict[str, Callable[[], object]] = {
            "verbatim": lambda quote=quote: mapped(quote),
            "other case and white space": lambda quote=quote: mapped(quote.upper().replace(" ", "  ")),
            "not found": lambda quote=quote: mapped(quote + " and so on and on 7777"),
            "re-tokenised prefixes": retokenized,
        }
        for name, call in calls.items():
            times.setdefault(name, []).append(_best(call, repeat=5))
    medians = {name: statistics.median(values) for name, values in times.items()}
    other = medians["re-tokenised prefixes"]
    ratios = [b / a for a, b in zip(times["verbatim"], times["re-tokenised prefixes"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "us": {name: round(1e6 * value, 1) for name, value in medians.items()},
        "us_per_token": {name: round(1e6 * value / length, 4) for name, value in medians.items()},
        "verbatim is faster by": round(other / medians["verbatim"], 1),
        "quartiles": [round(q, 1) for q in quartiles],
    }
