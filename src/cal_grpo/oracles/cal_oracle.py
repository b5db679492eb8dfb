"""The oracle that a training loop holds: any provider, asked concurrently, each question once, from any thread."""

import asyncio
import difflib
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cal_grpo.errors import UsageError
from cal_grpo.oracles.few_shot import load_few_shot
from cal_grpo.oracles.types import Oracle, Query, Tag, Verdict

PROVIDERS = ("reference", "arithmetic", "openai", "gemini")
_RETRIED = (Tag.RATE_LIMITED, Tag.UNAVAILABLE, Tag.TIMEOUT)


class CALOracle:
    """Locates first errors through a provider.

    Args:
        provider: ``"reference"``, ``"arithmetic"``, ``"openai"``, ``"gemini"``, or an object with
            ``async locate(query) -> Verdict``.
        model, base_url, api_key: for the LLM providers; the key normally comes from the environment.
        few_shot: JSON file of examples for an LLM.
        timeout_s: time limit of one call, in seconds.
        concurrency: calls in flight at most.
        attempts: calls for one query at most. Rate limits, unavailable servers and time-outs are tried again with
            exponential back-off and jitter, or after what the server asks for; nothing else is.

    Raises:
        UsageError: unknown provider, missing key or model, unreadable examples.

    Verdicts are kept in memory: the same query is asked once, also while it is in flight; failures are not kept. An
    exception that an oracle object raises reaches whoever waits for its verdict. Use it as a context manager, or let
    ``close`` (or the interpreter's end) stop its thread.
    """

    def __init__(
        self,
        provider: str | Oracle,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Path | str | None = None,
        timeout_s: float = 60.0,
        concurrency: int = 16,
        attempts: int = 4,
    ) -> None:
        if isinstance(provider, str):
            examples = load_few_shot(few_shot) if few_shot is not None else ()
            settings = {"base_url": base_url, "api_key": api_key, "few_shot": examples, "timeout_s": timeout_s}
            self._oracle = _build(provider, model, settings)
        elif callable(getattr(provider, "locate", None)):
            self._oracle = provider
        else:
            raise UsageError(f"oracle is a {type(provider).__name__}; expected a name or an object with async locate(query)")
        self.name = str(getattr(self._oracle, "name", type(self._oracle).__name__))
        self._concurrency, self._attempts = concurrency, attempts
        self._lock = threading.Lock()
        self._verdicts: dict[Query, Future[Verdict]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._slots: asyncio.Semaphore | None = None
        self._jitter = random.Random("oracle-back-off")
        self.outcomes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def locate(self, queries: Sequence[Query]) -> list[Verdict]:
        """The verdicts on some queries, in order. Blocks until all are there."""
        return [future.result() for future in [self.submit(query) for query in queries]]

    def submit(self, query: Query) -> Future[Verdict]:
        """Ask without waiting."""
        with self._lock:
            known = self._verdicts.get(query)
            if known is not None and not (known.done() and _unusable(known)):
                return _cached(known)
            future = asyncio.run_coroutine_threadsafe(self._ask(query), self._running_loop())
            self._verdicts[query] = future
            return future

    async def _ask(self, query: Query) -> Verdict:
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._concurrency)
        async with self._slots:
            for attempt in range(1, self._attempts + 1):
                verdict = await self._oracle.locate(query)
                if verdict.tag not in _RETRIED or attempt == self._attempts:
                    break
                pause = min(30.0, 0.5 * 2 ** (attempt - 1)) * self._jitter.uniform(0.5, 1.0)
                await asyncio.sleep(pause if verdict.retry_after_s is None else min(verdict.retry_after_s, 120.0))
        self.outcomes[str(verdict.tag)] += 1
        return verdict

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"oracle-{self.name}", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel what is in flight, close the connections and stop the thread. The verdicts stay."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = self._slots = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._wind_down(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()

    async def _wind_down(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        aclose = getattr(self._oracle, "aclose", None)
        if aclose is not None:
            await aclose()


def _unusable(done: Future[Verdict]) -> bool:
    return done.cancelled() or done.exception() is not None or done.result().tag.is_failure


def _cached(known: Future[Verdict]) -> Future[Verdict]:
    """The same outcome once more, marked as not asked for again."""
    copy: Future[Verdict] = Future()

    def pass_on(done: Future[Verdict]) -> None:
        if done.cancelled():
            copy.cancel()
        elif (error := done.exception()) is not None:
            copy.set_exception(error)
        else:
            verdict = done.result()
            copy.set_result(verdict if verdict.tag.is_failure else replace(verdict, cached=True))

    known.add_done_callback(pass_on)
    return copy


def _build(provider: str, model: str | None, settings: dict[str, Any]) -> Oracle:
    if provider == "reference":
        from cal_grpo.oracles.reference import ReferenceOracle

        return ReferenceOracle()
    if provider == "arithmetic":
        from cal_grpo.oracles.arithmetic import ArithmeticOracle

        return ArithmeticOracle()
    if provider == "openai":
        from cal_grpo.oracles.openai import OpenAIOracle

        return OpenAIOracle(model, **settings)
    if provider == "gemini":
        from cal_grpo.oracles.gemini import GeminiOracle

        return GeminiOracle(model, **settings)
    near = difflib.get_close_matches(provider, PROVIDERS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"oracle is {provider!r}; expected one of {', '.join(PROVIDERS)}{guess}")
