"""The oracle that a training loop holds: any provider, asked concurrently and within limits, from any thread."""

import asyncio
import difflib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from cal_grpo.errors import UsageError, require_positive
from cal_grpo.oracles.judges import load_few_shot, style_of
from cal_grpo.oracles.memory import JudgeLog, Recall, Replay, VerdictCache, default_cache
from cal_grpo.oracles.requests import Breaker, Budget, Limits, OracleClient, Retry
from cal_grpo.oracles.several import compose, is_composite
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict

PROVIDERS = ("reference", "arithmetic", "openai", "gemini", "local")
_VARIED = 0.7  # temperature of critiques that are to differ
_LOG = logging.getLogger("cal_grpo.oracles")


class CALOracle:
    """Locates first errors through a provider.

    Args:
        provider: ``"reference"``, ``"arithmetic"``, ``"openai"``, ``"gemini"``, ``"local"``, one with its model
            (``"openai:gpt-5-mini"``), several in one line (``"reference@0.6 > openai"``, see
            ``cal_grpo.oracles.several.compose``), or an object with
            ``async locate(query) -> Verdict``. Such an object's ``locate`` counts as one call unless its verdicts'
            usage says more, or it has ``metered = True``.
        model, base_url, api_key: for the LLM providers; the key normally comes from the environment. ``local`` takes a
            Hugging Face folder as its model.
        few_shot: JSON file of examples for an LLM.
        style: how an LLM is asked: ``"direct"`` for the quote, ``"repair"`` for the corrected response, which is then
            compared.
        timeout_s: time limit of one call, in seconds.
        concurrency: calls in flight at most.
        attempts: calls for one query at most. Rate limits, unavailable servers, dropped connections and time-outs are
            tried again, after what the server asks for or with exponential back-off and jitter; nothing else is.
        rpm, tpm: requests and tokens a minute at most.
        max_calls, max_tokens, max_usd: the budget. When it is spent, verdicts are tagged ``over_budget``.
        prices: YAML file of prices that win over the package's; see ``prices.yaml``.
        max_answer_tokens: an LLM's answer is cut off there, thinking included; None: the server decides.
        breaker_failures, breaker_pause_s: after so many failed questions in a row (0: never) the oracle is left alone,
            and tried again every so many seconds.
        cache: file in which verdicts are kept for later runs, or True for the user's own; None keeps them in memory.
            Verdicts of the free providers are never written.
        log: file to which every call is appended as JSON.
        replay: judge log of an earlier run, from which every query is answered; nothing is asked.
        tell: hears, in one line each, what a person should know; default: a warning of the ``cal_grpo.oracles`` logger.

    Raises:
        UsageError: unknown provider, missing key or model, a limit that is not above 0, unreadable examples, prices or
            replay, a USD limit without a price, a cache file that is something else.

    The same query is asked once, also while it is in flight; failures are not kept. An exception that an oracle object
    raises reaches whoever waits for its verdict. Use it as a context manager, or let ``close`` (or the interpreter's end)
    stop its thread.
    """

    def __init__(
        self,
        provider: str | Oracle,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Path | str | None = None,
        style: str = "direct",
        timeout_s: float = 60.0,
        concurrency: int = 16,
        attempts: int = 4,
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
        self._tell = tell or _LOG.warning
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._replay = Replay(Path(replay)) if replay is not None else None
        if self._replay is not None:
            self._oracle: Oracle = _Silent(provider if isinstance(provider, str) else provider.name)
        elif isinstance(provider, str):
            examples = load_few_shot(few_shot) if few_shot is not None else ()
            settings = {
                "base_url": base_url, "api_key": api_key, "few_shot": examples, "timeout_s": timeout_s, "prices": prices,
                "max_answer_tokens": max_answer_tokens, "style": style_of(style),
            }  # fmt: skip
            self._oracle = _build(provider, model, settings)
        elif callable(getattr(provider, "locate", None)):
            self._oracle = provider
        else:
            raise UsageError(f"oracle is a {type(provider).__name__}; expected a name or an object with async locate(query)")
        self.name = str(getattr(self._oracle, "name", type(self._oracle).__name__))
        if max_usd is not None and getattr(self._oracle, "price", 0) is None:
            raise UsageError(
                f"max_usd is {max_usd}, but the price of model {getattr(self._oracle, 'model', '?')!r} is not known; "
                "expected it in a YAML file given with prices, such as {input: 0.1, output: 0.4} (USD per million tokens)"
            )
        self._client = OracleClient(
            self._oracle,
            metered=isinstance(provider, str) or bool(getattr(provider, "metered", False)),
            concurrency=concurrency,
            retry=Retry(attempts),
            limits=Limits(rpm, tpm),
            budget=Budget(max_calls, max_tokens, max_usd),
            breaker=Breaker(breaker_failures, breaker_pause_s),
            cache=self._open_cache(cache, isinstance(provider, str)),
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
        """Ask without waiting. From any thread."""
        with self._lock:
            return asyncio.run_coroutine_threadsafe(self._answer(query), self._running_loop())

    def log_to(self, file: Path) -> None:
        """Append every call from now on to a judge log."""
        identity = self._identity() or {"oracle": self.name}
        self._client.log = JudgeLog(file, identity, self._tell)

    def resume(self, log: Path, settled: int) -> None:
        """Go on as the run that wrote a judge log: with its budget's use, its verdicts, and its place in a replay.

        Args:
            log: the file; there need be none.
            settled: how many answers went into updates that are kept; those behind are given again, without a call or a line.

        Raises:
            UsageError: it is no judge log.
        """
        recall = Recall(log, settled)
        self._client.recall = recall
        self._client.budget.spent, self._client.retried = recall.spent, recall.retried
        if self._replay is not None:
            self._replay.skip(recall.answered)

    @property
    def model(self) -> str | None:
        """The model that is asked, where there is one."""
        return getattr(self._oracle, "model", None)

    @property
    def endpoint(self) -> str | None:
        """The server that is asked, where there is one."""
        return getattr(self._oracle, "endpoint", None)

    @property
    def spent(self) -> Usage:
        """Calls, tokens, USD (None where the price is not known) and seconds of all calls so far, failed ones included."""
        return self._client.budget.spent

    @property
    def outcomes(self) -> Counter[str]:
        """How often each tag was the answer to a query."""
        return self._client.outcomes

    @property
    def retried(self) -> int:
        """Calls that were made because an earlier one for the same query had failed."""
        return self._client.retried

    @property
    def shares(self) -> dict[str, Any]:
        """Who answered how many queries of a cascade, and the calls saved; empty for other oracles."""
        told: dict[str, Any] = getattr(self._oracle, "shares", dict)()
        return told

    @property
    def on_spent(self) -> Callable[[str], None] | None:
        """Called once, from the oracle's thread, with the limit that was reached, for a run that wants to stop then."""
        return self._client.on_spent

    @on_spent.setter
    def on_spent(self, callback: Callable[[str], None] | None) -> None:
        self._client.on_spent = callback

    def _identity(self) -> Mapping[str, str] | None:
        return getattr(self._oracle, "identity", None)

    def _open_cache(self, cache: Path | str | bool | None, is_ours: bool) -> VerdictCache | None:
        if cache is None or cache is False:
            return None
        if getattr(self._oracle, "free", False):
            return None
        identity = self._identity()
        if identity is None:
            if is_ours or cache is True:
                return None
            raise UsageError(
                f"cache is {cache}, but oracle {self.name!r} has no identity; expected a mapping of all that decides its "
                "answers, such as {'oracle': name, 'model': version}"
            )
        return VerdictCache(default_cache() if cache is True else Path(cache), identity, self._tell)

    async def _answer(self, query: Query) -> Verdict:
        if (recalled := self._client.recalled(query)) is not None:
            return recalled
        return await self._client.answer(query) if self._replay is None else self._client.repeat(query, self._replay)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"oracle-{self.name}", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel what is in flight, close the connections and files and stop the thread. The verdicts stay."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._wind_down(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()

    async def _wind_down(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()
        await asyncio.get_running_loop().shutdown_default_executor()


class _Silent:
    """Stands where an oracle would be asked, in a replay; so that it needs no key."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def locate(self, query: Query) -> Verdict:
        return Verdict(Tag.ABSTAINED, critique="a replay asks nothing")


def _build(provider: str, model: str | None, settings: dict[str, Any]) -> Oracle:
    if is_composite(provider):
        return compose(
            provider, lambda name, varied: _build_one(name, model, settings | ({"temperature": _VARIED} if varied else {}))
        )
    return _build_one(provider, model, settings)


def _build_one(provider: str, model: str | None, settings: dict[str, Any]) -> Oracle:
    name, _, own_model = provider.partition(":")
    model = own_model or model
    if name == "reference":
        from cal_grpo.oracles.free import ReferenceOracle

        return ReferenceOracle()
    if name == "arithmetic":
        from cal_grpo.oracles.free import ArithmeticOracle

        return ArithmeticOracle()
    if name == "openai":
        from cal_grpo.oracles.judges import OpenAIOracle

        return OpenAIOracle(model, **settings)
    if name == "gemini":
        from cal_grpo.oracles.judges import GeminiOracle

        return GeminiOracle(model, **settings)
    if name == "local":
        from cal_grpo.engines import local_judge  # an engine: loaded only where it is asked for

        return local_judge(model, settings)
    near = difflib.get_close_matches(name, PROVIDERS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"oracle is {name!r}; expected one of {', '.join(PROVIDERS)}{guess}")
