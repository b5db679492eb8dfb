"""An oracle behind any OpenAI-compatible server: OpenAI, vLLM, Ollama, llama.cpp."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from pydantic import BaseModel, Field

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.prices import price_of
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle, query_prompt, read_answer, static_prompt
from cal_grpo.oracles.judges.replies import failed, identity, retry_after, tag_of_status, without_secret
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

# What a server that does not know a setting says about it.
_COMPLAINTS = {
    "response_format": ("response_format", "json_schema", "schema", "grammar"),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens",),
}


class OpenAIOracle:
    """Asks for JSON of our schema. A setting that the server does not know is left out from then on.

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

    Raises:
        UsageError: no model, no key for a server that is not local, or unreadable prices.
    """

    name = "openai"

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
    ) -> None:
        if not model:
            raise UsageError("oracle 'openai' got no model; name one with --model, CAL_MODEL or --set cal_model=NAME")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        api_key = api_key or os.environ.get("OPENAI_API_KEY") or None
        if api_key is None:
            if not _is_local(base_url):
                raise UsageError(
                    "oracle 'openai' got no API key; set OPENAI_API_KEY (environment or .env), "
                    "or OPENAI_BASE_URL to a local server"
                )
            api_key = "none"  # the client wants one even where the server does not (openai 3.57)
        import openai  # a second or two: here, not while the first questions wait

        self.model, self.timeout_s = model, timeout_s
        self.endpoint = base_url or "https://api.openai.com/v1"
        self.price = price_of(model, prices)
        self._style, self._static = style, static_prompt(few_shot, style)
        sampling = {"temperature": temperature} | ({"max_tokens": max_answer_tokens} if max_answer_tokens else {})
        self.identity = identity(self.name, model, self._static, sampling, style)
        self._errors = openai
        self._api_key = api_key
        self._client: Any = None
        schema = {"name": "verdict", "schema": style.schema, "strict": True}
        self._settings: dict[str, Any] = {
            "temperature": temperature,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        if max_answer_tokens:
            self._settings["max_tokens"] = max_answer_tokens

    async def locate(self, query: Query) -> Verdict:
        if self._client is None:
            self._client = self._errors.AsyncOpenAI(
                base_url=self.endpoint, api_key=self._api_key, max_retries=0, timeout=self.timeout_s
            )
        openai, began, settings = self._errors, time.monotonic(), dict(self._settings)
        try:
            # The client's limit is one between two bytes; this one is on the whole call.
            async with asyncio.timeout(self.timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self.model,
                    messages=[
                        {"role": "system", "content": self._static},
                        {"role": "user", "content": query_prompt(query)},
                    ],
                    **settings,
                )
            return self._read(raw.text, time.monotonic() - began, query)
        except openai.APIStatusError as e:
            if e.status_code == 400 and (setting := _unknown_setting(str(e), settings)):
                value = self._settings.pop(setting, None)
                if setting == "max_tokens" and value:  # as OpenAI's reasoning models have it
                    self._settings["max_completion_tokens"] = value
                return self._failed(Tag.UNAVAILABLE, f"the server does not know {setting}; asked again without", began, 0.0)
            return self._failed(tag_of_status(e.status_code), e, began, retry_after(e.response.headers))
        except (openai.APITimeoutError, TimeoutError) as e:
            return self._failed(Tag.TIMEOUT, e, began)
        except openai.APIConnectionError as e:
            return self._failed(Tag.UNAVAILABLE, f"{e} {e.__cause__ or ''}", began)
        except (openai.APIError, ValueError, RecursionError) as e:  # a body that is not the protocol's
            return self._failed(Tag.MALFORMED, f"the reply is off the protocol: {e}", began)

    def _failed(self, tag: Tag, error: Exception | str, began: float, retry_after_s: float | None = None) -> Verdict:
        return failed(tag, error, began, None if self.price is None else 0.0, self._api_key, retry_after_s)

    def _read(self, body: str, latency_s: float, query: Query) -> Verdict:
        reply = _Reply.model_validate(json.loads(body))
        counted = reply.usage or _Counted()
        prompt_tokens, completion_tokens = counted.prompt_tokens or 0, counted.completion_tokens or 0
        usd = None if self.price is None else self.price.usd(prompt_tokens, completion_tokens)
        usage = Usage(1, prompt_tokens, completion_tokens, usd, latency_s)
        if not reply.choices:
            return Verdict(Tag.MALFORMED, usage=usage, detail="the reply has no choices")
        choice = reply.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            why = without_secret(choice.message.refusal or "content filter", self._api_key)
            return Verdict(Tag.REFUSED, usage=usage, detail=why[:200])
        return read_answer(without_secret(choice.message.content or "", self._api_key), usage, query, self._style)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


class _Counted(BaseModel):
    prompt_tokens: int | None = Field(None, ge=0)
    completion_tokens: int | None = Field(None, ge=0)


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Reply(BaseModel):
    """The part of a chat completion that is read here."""

    choices: list[_Choice] | None = None
    usage: _Counted | None = None


def _unknown_setting(complaint: str, sent: dict[str, Any]) -> str | None:
    complaint = complaint.lower()
    return next((name for name, words in _COMPLAINTS.items() if name in sent and any(w in complaint for w in words)), None)


def _is_local(base_url: str | None) -> bool:
    host = urlparse(base_url).hostname if base_url else None
    return host in ("localhost", "127.0.0.1", "::1", "0.0.0.0")
