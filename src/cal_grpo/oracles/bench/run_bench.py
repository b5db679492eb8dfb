"""Running an oracle over labelled rows as training would: asked, its quote mapped, the step found that holds it."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from cal_grpo.alignment import Aligner, Decoded, Miss
from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle, Query, Verdict, blamed, corrected
from cal_grpo.oracles.bench.bench_figures import BenchResult, step_of
from cal_grpo.oracles.bench.bench_file import BenchFile
from cal_grpo.oracles.bench.labelled import Labelled

NOT_REPRODUCED = "the tokenizer turns the response into other text"


def run_bench(
    rows: Sequence[Labelled],
    oracle: CALOracle,
    aligner: Aligner,
    encode: Callable[[str], Sequence[int]],
    *,
    min_confidence: float = 0.0,
    concurrency: int = 16,
    on_done: Callable[[int], None] | None = None,
    file: BenchFile | None = None,
    left_out: Counter[str] | None = None,
) -> list[BenchResult]:
    """Every row's verdict and where it points. Labels of one solution share one question to the oracle.

    Args:
        rows: what to ask about.
        oracle: asked about ``concurrency`` rows at once, or one after the other when it makes no calls, so that latencies
            are its own.
        aligner, encode: of one tokenizer.
        min_confidence: verdicts that are less sure count as abstentions.
        on_done: hears how many rows are done.
        file: gets a line for every row as soon as it is judged; what it holds already is not asked again.
        left_out: counts rows that the tokenizer does not reproduce.

    Raises:
        UsageError: the tokenizer reproduces no response, the judge rejects its first question, or the file cannot be written.
    """
    oracle.maps_with(aligner)
    decoded: dict[str, Decoded] = {}
    for text in dict.fromkeys(row.query.response for row in rows):
        decoded[text] = aligner.decode(encode(text))
    kept = [row for row in rows if decoded[row.query.response].text == row.query.response]
    if rows and not kept:
        text = rows[0].query.response
        raise UsageError(
            f"the tokenizer turns a response into other text ({decoded[text].text[:40]!r} for {text[:40]!r}), as all others; "
            "choose a tokenizer that reproduces it, such as a byte-level one"
        )
    if left_out is not None and len(kept) < len(rows):
        left_out[NOT_REPRODUCED] += len(rows) - len(kept)

    of_query: dict[Query, list[int]] = defaultdict(list)
    for i, row in enumerate(kept):
        of_query[row.query].append(i)
    results: dict[int, BenchResult] = {}
    lock = threading.Lock()

    def settle(query: Query, verdict: Verdict, latency_s: float) -> list[BenchResult]:
        of_response = decoded[query.response]
        placed = []
        for number, i in enumerate(of_query[query]):
            told = replace(verdict, cached=verdict.cached or number > 0)  # the next label of it costs nothing
            placed.append(_place(kept[i], told, latency_s, of_response, aligner, min_confidence))
            results[i] = placed[-1]
        return placed

    def ask(query: Query) -> None:
        began = time.perf_counter()
        verdict = oracle.submit_all([query])[0].result()
        latency_s = time.perf_counter() - began
        with lock:
            placed = settle(query, verdict, latency_s)
            if file is not None:
                file.append(placed)
            if on_done is not None:
                on_done(len(results))

    if file is not None:
        known = [(query, *file.known[query]) for query in of_query if query in file.known]
        file.begin([result for query, verdict, latency_s in known for result in settle(query, verdict, latency_s)])
    done = {result.row.query for result in results.values()}
    queries = [query for query in of_query if query not in done]
    if queries:
        ask(queries[0])
    if queries and results[of_query[queries[0]][0]].verdict.usage.calls:
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
    return [results[i] for i in range(len(kept))]


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
    step = step_of(span, row.spans)
    right = _corrected_right(row, verdict)
    return BenchResult(row, verdict, step, span, None, len(mapped), max(end - start, 1), shared, latency_s, right)


def _corrected_right(row: Labelled, verdict: Verdict) -> bool | None:
    found = corrected(row.query.response, verdict)
    if found is None or row.answer is None:
        return None
    cut, correction = found
    return grade_answer(row.query.response[:cut] + correction, row.answer).correct
