"""An oracle behind any OpenAI-compatible server: OpenAI, vLLM, Ollama, llama.cpp."""

import asyncio
import importlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlparse

from pydantic import BaseModel

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.http import Unreadable, check_endpoint, clean_key, cleared, new_client, secrets_of
from cal_grpo.oracles.judges.prices import price_of
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle, query_prompt, static_prompt
from cal_grpo.oracles.judges.reading import Reply, read_reply
from cal_grpo.oracles.judges.replies import failed, identity, is_spent, required_model, retry_after, tag_of_status
from cal_grpo.oracles.judges.settings import STATUSES, Settings
from cal_grpo.oracles.types import Again, Query, Tag, Verdict


class OpenAIOracle:
    """Asks for JSON of our schema. A setting that the server says it does not know is left out from then on.

    Args:
        model: as the server names it.
        base_url: default ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: default ``OPENAI_API_KEY``; a server on this machine needs none.
        few_shot: worked examples for the prompt.
        timeout_s: time limit of one call.
        prices: YAML file whose prices win over the package's.
        style: how the error is asked for.
        temperature: of sampling; above 0, several answers to one question differ.
        max_answer_tokens: an answer is cut off there, thinking included; None: the server decides.
        ask_again: how often a quote that is not in the response is asked for once more, see ``locate_again``.

    Raises:
        UsageError: no model, no key for a server that is not local or one that is none, a base URL or a proxy that is none, or
            unreadable prices.
    """

    name = "openai"
    awaits = True

    def __init__(
        self,
        model: str | None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Sequence[FewShot] = (),
        timeout_s: float = 60.0,
        prices: Path | str | None = None,
        style: PromptStyle = DIRECT,
        temperature: float = 0.0,
        max_answer_tokens: int | None = None,
        ask_again: int = 0,
    ) -> None:
        model = required_model(self.name, model)
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self.endpoint = base_url or "https://api.openai.com/v1"
        check_endpoint(self.endpoint)
        api_key = clean_key(api_key or os.environ.get("OPENAI_API_KEY"), "OPENAI_API_KEY")
        if api_key is None:
            if not _is_local(base_url):
                raise UsageError(
                    "oracle 'openai' got no API key; set OPENAI_API_KEY (environment or .env), "
                    "or OPENAI_BASE_URL to a local server"
                )
            api_key = "none"  # the client wants one even where the server does not (openai 3.57)
        self.model, self.timeout_s = model, timeout_s
        import openai  # a second or two: here, not while the first questions wait

        self.price = price_of(model, prices)
        self.ask_again, self.corrects = ask_again, style.corrects
        self._style, self._static = style, static_prompt(few_shot, style)
        sampling = {"temperature": temperature} | ({"max_tokens": max_answer_tokens} if max_answer_tokens else {})
        self.identity = identity(self.name, model, self._static, sampling, style, ask_again)
        self._errors = openai
        self._api_key, self._secrets = api_key, secrets_of(api_key, self.endpoint)
        self._client: Any = self._connected()
        self._max_answer_tokens = max_answer_tokens
        self._settings = Settings(temperature, max_answer_tokens)

    async def locate(self, query: Query) -> Verdict:
        return await self._ask(query, None)

    async def locate_again(self, query: Query, before: Verdict) -> Verdict:
        """Ask once more, with the reason why the quote of the verdict before was of no use."""
        return await self._ask(query, before)

    async def _ask(self, query: Query, before: Verdict | None) -> Verdict:
        if self._client is None:  # it was closed
            self._client = self._connected()
        began = time.monotonic()
        settings = self._settings.to_send(self._style.schema(query.response))
        messages = [
            {"role": "system", "content": self._static},
            {"role": "user", "content": query_prompt(query, self._style, before)},
        ]
        try:
            # The client's limit is one between two bytes; this one is on the whole call.
            async with asyncio.timeout(self.timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self.model, messages=messages, **settings
                )
            # What takes long to read holds nobody else up
            verdict = await asyncio.to_thread(self._read, raw.text, time.monotonic() - began, query)
        except (self._errors.APIError, Unreadable, TimeoutError, ValueError, RecursionError) as e:
            unread = e if isinstance(e, Unreadable) else e.__cause__  # openai 3.57 wraps what a hook raises
            verdict = self._failed(unread if isinstance(unread, Unreadable) else e, began, settings, query)
        return cleared(verdict, self._secrets)

    def _connected(self) -> Any:
        parts = urlparse(self.endpoint)  # the client writes its path behind whatever it is given (openai 3.57)
        place, query = parts._replace(query="", fragment="").geturl(), dict(parse_qsl(parts.query))
        return self._errors.AsyncOpenAI(
            base_url=place, default_query=query, api_key=self._api_key, max_retries=0, timeout=self.timeout_s,
            http_client=new_client(_http_library(self._errors), self.timeout_s, place),
        )  # fmt: skip

    def _failed(self, e: Exception, began: float, settings: dict[str, Any], query: Query) -> Verdict:
        openai, tag, detail = self._errors, Tag.MALFORMED, f"the reply is off the protocol: {e}"
        pause_s: float | None = None
        again: Again = ""
        if isinstance(e, openai.APIStatusError):
            tag, detail, pause_s = tag_of_status(e.status_code), _message(e), retry_after(e.response.headers)
            if e.status_code in STATUSES and (changed := self._settings.learn(settings, e.body, query)):
                tag, detail, again = Tag.UNAVAILABLE, f"the server does not know {changed} ({detail})", "settings"
            elif is_spent(e.body):
                tag, pause_s = Tag.REJECTED, None
        elif isinstance(e, openai.APITimeoutError | TimeoutError):
            tag, detail = Tag.TIMEOUT, str(e)
        elif isinstance(e, openai.APIConnectionError):
            tag, detail = Tag.UNAVAILABLE, f"{e} {e.__cause__ or ''}"
        elif isinstance(e, Unreadable):
            tag, detail = e.tag, str(e)
        return failed(tag, detail or type(e).__name__, began, self.price, pause_s, again)

    def _read(self, body: str, latency_s: float, query: Query) -> Verdict:
        return read_reply(_said(body), latency_s, self.price, query, self._style, self._max_answer_tokens)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _message(e: Any) -> str:
    """All that an error says: the client tells of a ``message`` and of nothing else (openai 3.57)."""
    if str(e) != f"Error code: {e.status_code}" or not e.body:
        return str(e)
    return f"{e} - {e.body if isinstance(e.body, str) else json.dumps(e.body, ensure_ascii=False)}"


class _Counted(BaseModel):
    prompt_tokens: Any = None
    completion_tokens: Any = None


class _Message(BaseModel):
    content: str | list[Any] | dict[str, Any] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Reply(BaseModel):
    """The part of a chat completion that is read here."""

    choices: list[_Choice] | None = None
    usage: _Counted | None = None
    error: Any = None


def _said(body: str) -> Reply:
    reply = _Reply.model_validate(json.loads(body.lstrip("\ufeff")))
    counted = reply.usage or _Counted()
    told = Reply(counted.prompt_tokens, (counted.completion_tokens,))
    if not reply.choices:
        said = f", but an error: {json.dumps(reply.error, ensure_ascii=False)}" if reply.error else ""  # as gateways have it
        return told._replace(lacking=f"choices{said}")
    choice = reply.choices[0]
    text, refusal = _texts(choice.message.content)
    refused = choice.message.refusal or refusal or ("content filter" if choice.finish_reason == "content_filter" else "")
    return told._replace(text=text, cut=choice.finish_reason in ("length", "max_tokens"), refused=refused)


def _texts(content: str | list[Any] | dict[str, Any] | None) -> tuple[str, str]:
    """What a message says, and what it refuses: a text, parts (thoughts are none of the answer), or the object itself."""
    if not isinstance(content, list):
        return json.dumps(content) if isinstance(content, dict) else content or "", ""
    parts = [{"text": part} if isinstance(part, str) else part for part in content]
    parts = [
        part for part in parts if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text", "refusal")
    ]
    texts, refusals = ([part[key] for part in parts if isinstance(part.get(key), str)] for key in ("text", "refusal"))
    return "".join(texts), "".join(refusals)


def _http_library(openai: Any) -> Any:
    """What the client is built on: httpx, or httpx2 (openai 3.57)."""
    base = next(kind for kind in openai.DefaultAsyncHttpxClient.__mro__ if kind.__name__ == "AsyncClient")
    return importlib.import_module(base.__module__.partition(".")[0])


def _is_local(base_url: str | None) -> bool:
    try:
        host = urlparse(base_url).hostname if base_url else None
    except ValueError:
        return False
    return host in ("localhost", "127.0.0.1", "::1", "0.0.0.0")
