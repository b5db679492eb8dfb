"""The oracle that a training loop holds: any provider, asked concurrently and within limits, from any thread."""

import asyncio
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple
from numbers import Real
from pathlib import Path
from typing import Any, Self

from cal_grpo.alignment import Aligner
from cal_grpo.errors import UsageError, one_line, require_positive
from cal_grpo.oracles.memory import CacheFile, Replay, Silent, default_cache
from cal_grpo.oracles.protocol import Oracle, name_of
from cal_grpo.oracles.providers import make_oracle
from cal_grpo.oracles.requests import Allowance, Breaker, Budget, Limits, OracleClient, Retry
from cal_grpo.oracles.several import leaves
from cal_grpo.oracles.types import Query, Usage, Verdict

_CLOSING_S = 4.0
_LOG = logging.getLogger("cal_grpo.oracles")


class CALOracle:
    """Locates first errors through a provider.

    Args:
        provider: ``"reference"``, ``"arithmetic"``, ``"openai"``, ``"gemini"``, ``"local"``, one with its model
            (``"openai:gpt-5-mini"``), an oracle of one's own (``"mypkg.judges:Strict"``, or a name that a package
            registers), several in one line (``"reference@0.6 > openai"``, see ``cal_grpo.oracles.several.compose``), or an
            object with ``async locate(query) -> Verdict``. Such an object's ``locate`` counts as one call unless its
            verdicts' usage says more, or it has ``metered = True``.
        model, base_url, api_key: for the LLM providers; the key normally comes from the environment. ``local`` takes a
            Hugging Face folder as its model.
        few_shot: JSON file of examples for an LLM.
        style: how an LLM is asked: ``"direct"`` for the quote, ``"repair"`` for the corrected response, which is then
            compared, ``"steps"`` for the number of the step.
        corrections: ask an LLM for what should have stood there, too (``Verdict.correction``), which costs tokens. Verdicts
            that were asked for without are not taken for such.
        timeout_s: time limit of one call, in seconds, whoever is asked.
        concurrency: calls in flight at most.
        attempts: calls for one query at most. Rate limits, unavailable servers, dropped connections and time-outs are
            tried again, after what the server asks for or with exponential back-off and jitter; nothing else is. None: four,
            and a server that is unavailable is waited for.
        patience_s: how long a query waits for a server that is unavailable, such as one that restarts, in seconds.
        ask_again: how often an LLM whose quote is not in the response is asked once more, with the reason.
        rpm, tpm: requests and tokens a minute at most.
        max_calls, max_tokens, max_usd: the budget. When it is spent, verdicts are tagged ``over_budget``.
        prices: YAML file of prices that win over the package's; see ``prices.yaml``.
        max_answer_tokens: an LLM's answer is cut off there, thinking included; None: the server decides.
        breaker_failures, breaker_pause_s: after so many failed questions in a row (0: never) the oracle is left alone,
            and tried again every so many seconds.
        cache: file in which verdicts are kept for later runs, or True for the user's own; None keeps them in memory.
            Verdicts of the free providers are never written, nor those of an object without ``identity``.
        log: file to which every call is appended as JSON.
        replay: judge log of an earlier run, from which every query is answered; nothing is asked.
        tell: hears, in one line each, what a person should know; default: a warning of the ``cal_grpo.oracles`` logger.

    Raises:
        UsageError: unknown provider, something that is no oracle, a setting that the provider makes no use of, missing key
            or model, a limit that is not above 0, unreadable examples, prices, replay or cache, a USD limit without a price.

    Limits and budget are for all calls together. Calls are counted, paced, tried again and cached where they are made: one
    by one for each oracle that a cascade or vote asks. The same query is asked once, also while it is in flight; of the
    verdicts that cost something the last 10,000 are kept, failures are not. An exception that an oracle object raises
    reaches whoever waits for its verdict, and so does what is no ``Verdict``, as a ``UsageError``. Use it as a context
    manager, or let ``close`` (or the interpreter's end) stop its thread.
    """

    not_an_oracle = "a CALOracle, which asks an oracle; pass the provider that it was made with"

    def __init__(
        self,
        provider: str | Oracle,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Path | str | None = None,
        style: str = "direct",
        corrections: bool = False,
        timeout_s: float = 60.0,
        concurrency: int = 16,
        attempts: int | None = None,
        patience_s: float = 60.0,
        ask_again: int = 1,
        rpm: float | None = None,
        tpm: float | None = None,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_usd: float | None = None,
        prices: Path | str | None = None,
        max_answer_tokens: int | None = None,
        breaker_failures: int = 10,
        breaker_pause_s: float = 60.0,
        cache: Path | str | bool | None = None,
        log: Path | str | None = None,
        replay: Path | str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        require_positive(timeout_s=timeout_s, concurrency=concurrency, attempts=attempts, rpm=rpm, tpm=tpm)
        require_positive(max_calls=max_calls, max_tokens=max_tokens, max_usd=max_usd, max_answer_tokens=max_answer_tokens)
        require_positive(breaker_pause_s=breaker_pause_s)
        if not all(isinstance(number, Real) and number >= 0 for number in (patience_s, ask_again)):
            raise UsageError(f"patience_s is {patience_s!r} and ask_again {ask_again!r}; expected numbers from 0 on")
        hears = tell or _LOG.warning
        self._tell: Callable[[str], None] = lambda text: hears(one_line(text))
        self._lock, self._process = threading.Lock(), os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        if replay is not None:
            self._oracle: Oracle = Silent(provider if isinstance(provider, str) else name_of(provider))
        else:
            settings = {
                "model": model, "base_url": base_url, "api_key": api_key, "few_shot": few_shot, "style": style,
                "corrections": corrections, "prices": prices, "max_answer_tokens": max_answer_tokens, "timeout_s": timeout_s,
                "ask_again": ask_again,
            }  # fmt: skip
            self._oracle = make_oracle(provider, settings, max_usd)
        self.name = name_of(self._oracle)
        self._client = OracleClient(
            self._oracle,
            allowance=Allowance(concurrency, Limits(rpm, tpm), Budget(max_calls, max_tokens, max_usd), self._tell),
            retry=Retry(attempts, patience_s=patience_s),
            timeout_s=timeout_s,
            breaker=lambda: Breaker(breaker_failures, breaker_pause_s),
            cache=self._open_cache(cache) if replay is None else None,
            replay=Replay(Path(replay), self._tell if corrections else None) if replay is not None else None,
            tell=self._tell,
        )
        if log is not None:
            self.log_to(Path(log))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def locate(self, queries: Sequence[Query]) -> list[Verdict]:
        """The verdicts on some queries, in order. Blocks until all are there."""
        return [future.result() for future in [self.submit(query) for query in queries]]

    def submit(self, query: Query) -> Future[Verdict]:
        """Ask without waiting. From any thread, of the process that made this oracle.

        Raises:
            UsageError: from another one: a fork takes neither the thread along nor the right to use its connections.
        """
        self._check_process()
        with self._lock:
            return asyncio.run_coroutine_threadsafe(self._client.answer_after(query), self._running_loop())

    def submit_all(self, queries: Sequence[Query]) -> list[Future[Verdict]]:
        """Ask about a training's answers without waiting, in order.

        The first time, the longest is asked alone, before all others, so that a judge that cannot be used is found out at the
        price of one call: from then on one that rejects its first question (a wrong key or model, a prompt that its server
        cannot hold) is a ``UsageError``, which all these futures raise.
        """
        futures: dict[int, Future[Verdict]] = {}
        self._check_process()
        with self._lock:
            client = self._client
            if queries and not client.allowance.demanding:
                client.allowance.demanding = True
                longest = max(range(len(queries)), key=lambda i: sum(map(len, astuple(queries[i]))))
                futures[longest] = asyncio.run_coroutine_threadsafe(client.answer_first(queries[longest]), self._running_loop())
        return [futures[i] if i in futures else self.submit(query) for i, query in enumerate(queries)]

    def maps_with(self, aligner: Aligner) -> None:
        """A cascade or vote takes a quote for an answer where this aligner, which a pipeline tells, places it; from now on."""
        self._client.maps_with(aligner.find)

    def log_to(self, file: Path) -> None:
        """Append every call from now on to a judge log."""
        self._client.log.write_to(file)

    def resume(self, log: Path, settled: int) -> None:
        """Go on as the run that wrote a judge log: with its budget's use, its verdicts, and its place in a replay.

        Args:
            log: the file; there need be none.
            settled: how many answers went into updates that are kept; those behind are given again, without a call or a line.

        Raises:
            UsageError: it is no judge log.
        """
        self._client.resume(log, settled)

    @property
    def model(self) -> str | None:
        """The model that is asked, where there is one."""
        return getattr(self._oracle, "model", None)

    @property
    def identity(self) -> dict[str, str]:
        """All besides the query that decides the answers, where the oracle says so; else its name."""
        return dict(getattr(self._oracle, "identity", None) or {"oracle": self.name})

    @property
    def endpoint(self) -> str | None:
        """The server that is asked, where there is one."""
        return getattr(self._oracle, "endpoint", None)

    @property
    def corrects(self) -> bool:
        """Whether corrections may come: not from an LLM that is asked for none, nor from ``arithmetic``."""
        return any(getattr(leaf, "corrects", True) for leaf in leaves(self._oracle))

    @property
    def spent(self) -> Usage:
        """Calls, tokens, USD (None where the price is not known) and seconds of all calls so far, failed ones included."""
        return self._client.allowance.budget.spent

    @property
    def outcomes(self) -> Counter[str]:
        """How often each tag was the answer to a query."""
        return self._client.outcomes

    @property
    def retried(self) -> int:
        """Calls that were made because an earlier one for the same query had failed."""
        return self._client.allowance.retried

    @property
    def shares(self) -> dict[str, Any]:
        """Who answered how many queries of a cascade, and the calls saved; empty for other oracles."""
        return dict(getattr(self._oracle, "shares", dict)())

    @property
    def on_spent(self) -> Callable[[str], None] | None:
        """Called once, from the oracle's thread, with the limit that was reached, for a run that wants to stop then."""
        return self._client.allowance.on_spent

    @on_spent.setter
    def on_spent(self, callback: Callable[[str], None] | None) -> None:
        self._client.allowance.on_spent = callback

    def _open_cache(self, cache: Path | str | bool | None) -> CacheFile | None:
        paid = [leaf for leaf in leaves(self._oracle) if not getattr(leaf, "free", False)]
        named = any(getattr(leaf, "identity", None) for leaf in paid)
        if cache is None or cache is False or not paid or (cache is True and not named):
            return None
        if not named:
            raise UsageError(
                f"cache is {cache}, but oracle {self.name!r} has no identity; expected a mapping of all that decides its "
                "answers, such as {'oracle': name, 'model': version}"
            )
        return CacheFile(default_cache() if cache is True else Path(cache), self._tell)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise UsageError(
                f"the oracle {self.name!r} was made in process {self._process} and is asked in its fork {os.getpid()}; make a "
                "CALOracle in each process"
            )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._workers = ThreadPoolExecutor(thread_name_prefix=f"oracle-{self.name}-work")
            self._loop.set_default_executor(self._workers)
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"oracle-{self.name}", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel what is in flight, close the connections and files and stop the thread. The verdicts stay.

        Takes seconds at most and raises nothing: an oracle that does not let go of its call is left behind, and told of. In a
        fork of the process that made it there is nothing to close.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._wind_down(), loop).result(timeout=2 * _CLOSING_S)
        except Exception as e:  # noqa: BLE001 - the caller may be on the way out with a better one
            self._tell(f"the oracle {self.name!r} did not close in good order ({type(e).__name__}: {e})")
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=_CLOSING_S)
        if not thread.is_alive():
            loop.close()

    async def _wind_down(self) -> None:
        if tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CLOSING_S / 2)
        await asyncio.wait_for(self._client.aclose(), _CLOSING_S)
        self._workers.shutdown(wait=False)
