"""Time to map one quote, against re-tokenising the text before it and the text up to its end."""

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
_REPEAT = 15
_OTHER = "re-tokenised prefixes"


def speed(bench: Bench, texts: Sequence[str], samples: int = 40) -> dict[str, Any]:
    """Microseconds a response of so many tokens, each with one random line as its quote; fewer of the long ones.

    Both sides start from the decoded text and a tokenizer that is ready. Ours works out the characters of every token
    and the quote's tokens; "offsets known" is a further quote on the same response. The other encodes ``text[:start]``
    and ``text[:end]``. Of each call the fastest of some is taken, as others on the machine only ever add; these are
    averaged over the responses, and so is what ``times_less`` compares. ``quartiles`` are of the responses' own ratios.
    """
    rng = random.Random(f"speed/{bench.name}")
    return {str(length): _at(bench, texts, length, rng, samples if length < 4096 else samples // 4) for length in LENGTHS}


def _at(bench: Bench, texts: Sequence[str], length: int, rng: random.Random, samples: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {}
    for _ in range(samples):
        for name, call in _calls(bench, texts, length, rng).items():
            times.setdefault(name, []).append(_fastest(call))
    means = {name: statistics.mean(values) for name, values in times.items()}
    report: dict[str, Any] = {"us": {name: round(1e6 * value, 1) for name, value in means.items()}}
    report["us_per_token"] = {name: round(1e6 * value / length, 4) for name, value in means.items()}
    for name in ("verbatim", "verbatim, offsets known"):
        ratios = [other / ours for ours, other in zip(times[name], times[_OTHER], strict=True)]
        quartiles = [round(q, 1) for q in statistics.quantiles(ratios, n=4)]
        report[name] = {"times_less": round(means[_OTHER] / means[name], 1), "quartiles": quartiles}
    return report


def _calls(bench: Bench, texts: Sequence[str], length: int, rng: random.Random) -> dict[str, Callable[[], object]]:
    ids: list[int] = []
    while len(ids) < length:
        ids += bench.encode(rng.choice(texts) + "\n")
    ids_T = np.array(ids[:length])
    text = bench.tokenizer.decode(ids[:length], skip_special_tokens=False)
    start, end = rng.choice(lines(text)[:-1])
    quote, hint = text[start:end], text[max(0, start - 80) : start]
    aligner, table = Aligner(bench.tokenizer, max_span_tokens=1 << 20), token_table(bench.tokenizer)
    assert table is not None
    no_special_T = np.zeros(length, bool)

    def decoded() -> Decoded:
        return Decoded(*by_table(ids_T, table), no_special_T)

    known = decoded()
    loose, absent = quote.upper().replace(" ", "  "), quote + " and so on and on 7777"
    return {
        "verbatim": lambda: aligner.map(decoded(), quote, hint),
        "verbatim, offsets known": lambda: aligner.map(known, quote, hint),
        "other case and white space": lambda: aligner.map(decoded(), loose, hint),
        "not there": lambda: aligner.map(decoded(), absent, hint),
        _OTHER: lambda: [len(bench.tokenizer.encode(text[:at], add_special_tokens=False)) for at in (start, end)],
    }


def _fastest(call: Callable[[], object]) -> float:
    best, spent = float("inf"), 0.0
    for n in range(_REPEAT):
        if n > 2 and spent > 0.5:
            break
        begin = time.perf_counter()
        call()
        taken = time.perf_counter() - begin
        best, spent = min(best, taken), spent + taken
    return best
