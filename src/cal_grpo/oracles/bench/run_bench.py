"""Running an oracle over labelled rows as training would: asked, its quote mapped, the step found that holds it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from cal_grpo.alignment import Aligner, Decoded, Miss
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Verdict, blamed
from cal_grpo.oracles.bench.bench_figures import BenchResult, step_of
from cal_grpo.oracles.bench.labelled import Labelled


def run_bench(
    rows: Sequence[Labelled],
    oracle: CALOracle,
    aligner: Aligner,
    encode: Callable[[str], Sequence[int]],
    *,
    min_confidence: float = 0.0,
    concurrency: int = 16,
    on_done: Callable[[int], None] | None = None,
) -> list[BenchResult]:
    """Every row's verdict and where it points. Labels of one solution share one question to the oracle.

    Args:
        rows: what to ask about.
        oracle: asked about ``concurrency`` rows at once, or one after the other when it makes no calls, so that latencies
            are its own.
        aligner, encode: of one tokenizer, which must reproduce the responses.
        min_confidence: verdicts that are less sure count as abstentions.
        on_done: hears how many rows are done.

    Raises:
        UsageError: the tokenizer does not reproduce a response.
    """
    decoded: dict[str, Decoded] = {}
    for row in rows:
        text = row.query.response
        if text not in decoded:
            decoded[text] = aligner.decode(encode(text))
            if decoded[text].text != text:
                raise UsageError(
                    f"the tokenizer turns a response into other text ({decoded[text].text[:40]!r} for {text[:40]!r}); "
                    "choose a tokenizer that reproduces it, such as a byte-level one"
                )

    queries = list(dict.fromkeys(row.query for row in rows))
    found: dict[Query, tuple[Verdict, float]] = {}
    rows_of = Counter(row.query for row in rows)

    def ask(query: Query) -> None:
        began = time.perf_counter()
        found[query] = oracle.submit(query).result(), time.perf_counter() - began
        if on_done is not None:
            on_done(sum(rows_of[done] for done in list(found)))

    if queries:
        ask(queries[0])
    if queries and found[queries[0]][0].usage.calls:
        with ThreadPoolExecutor(concurrency) as pool:
            asked: list[Future[None]] = [pool.submit(ask, query) for query in queries[1:]]
            try:
                for future in asked:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    else:
        for query in queries[1:]:
            ask(query)
    results = []
    for row in rows:
        verdict, latency_s = found[row.query]
        results.append(_place(row, verdict, latency_s, decoded[row.query.response], aligner, min_confidence))
        found[row.query] = replace(verdict, cached=True), latency_s  # the next label of it costs nothing
    return results


def _place(
    row: Labelled, verdict: Verdict, latency_s: float, decoded: Decoded, aligner: Aligner, min_confidence: float
) -> BenchResult:
    def nowhere(reason: str) -> BenchResult:
        return BenchResult(row, verdict, None, None, reason, 0, 0, 0, latency_s)

    if not verdict.segment:
        return nowhere(str(verdict.tag))
    if verdict.confidence is not None and verdict.confidence < min_confidence:
        return nowhere("unsure")
    mapped = blamed(aligner, decoded, verdict)
    if isinstance(mapped, Miss):
        return nowhere(f"quote_{mapped.reason}")
    start, end = decoded.tokens(*row.spans[row.first_error]) or (0, 0)
    shared = max(0, min(end, mapped.end) - max(start, mapped.start))
    span = (mapped.char_start, mapped.char_end)
    return BenchResult(row, verdict, step_of(span, row.spans), span, None, len(mapped), max(end - start, 1), shared, latency_s)


def tokenizer_of(folder: str | None) -> Any:
    """The ``tokenizers.Tokenizer`` of a model folder, or of the embedded policy.

    Raises:
        UsageError: the folder has none that can be read.
    """
    from pathlib import Path

    from tokenizers import Tokenizer

    from cal_grpo.policies import EMBEDDED

    file = Path(folder or EMBEDDED) / "tokenizer.json"
    if not file.is_file():
        raise UsageError(f"tokenizer {file}: not found; expected a model folder with a tokenizer.json")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as e:
        raise UsageError(f"tokenizer {file}: cannot be read ({e}); download or convert it again") from e
