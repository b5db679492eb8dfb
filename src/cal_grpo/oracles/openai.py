"""An oracle behind any OpenAI-compatible server: OpenAI, vLLM, Ollama, llama.cpp."""

import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlparse

from cal_grpo.errors import UsageError
from cal_grpo.oracles.few_shot import FewShot
from cal_grpo.oracles.prompt import SCHEMA, query_prompt, read_answer, static_prompt
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

_STATUS_TAGS = {429: Tag.RATE_LIMITED, 408: Tag.TIMEOUT, 409: Tag.UNAVAILABLE}


class OpenAIOracle:
    """Asks for JSON at temperature 0; a server that refuses the schema is asked once more without it.

    Args:
        model: as the server names it.
        base_url: default ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: default ``OPENAI_API_KEY``; a server on this machine needs none.
        few_shot: worked examples for the prompt.
        timeout_s: time limit of one call.

    Raises:
        UsageError: no model, or no key for a server that is not local.
    """

    name = "openai"

    def __init__(
        self,
        model: str | None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Sequence[FewShot] = (),
        timeout_s: float = 60.0,
    ) -> None:
        if not model:
            raise UsageError("oracle 'openai' got no model; name one with CAL_MODEL or --set cal_model=NAME")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        api_key = api_key or os.environ.get("OPENAI_API_KEY") or None
        if api_key is None:
            if not _is_local(base_url):
                raise UsageError(
                    "oracle 'openai' got no API key; set OPENAI_API_KEY (environment or .env), "
                    "or OPENAI_BASE_URL to a local server"
                )
            api_key = "none"  # the client wants one even where the server does not (openai 3.57)
        self.model, self.timeout_s = model, timeout_s
        self._base_url, self._api_key = base_url, api_key
        self._static = static_prompt(few_shot)
        self._client: Any = None
        self._schema = True

    async def locate(self, query: Query) -> Verdict:
        import openai

        if self._client is None:
            self._client = openai.AsyncOpenAI(
                base_url=self._base_url, api_key=self._api_key, max_retries=0, timeout=self.timeout_s
            )
        began = time.monotonic()
        try:
            reply = await self._ask(query)
        except openai.BadRequestError as e:
            if not self._schema:
                return _failed(Tag.REJECTED, e, began)
            self._schema = False
            return await self.locate(query)
        except openai.APITimeoutError as e:
            return _failed(Tag.TIMEOUT, e, began)
        except openai.APIConnectionError as e:
            return _failed(Tag.UNAVAILABLE, e, began)
        except openai.APIStatusError as e:
            fallback = Tag.UNAVAILABLE if e.status_code >= 500 else Tag.REJECTED
            return _failed(_STATUS_TAGS.get(e.status_code, fallback), e, began, retry_after(e.response.headers))
        except (openai.APIError, ValueError) as e:  # a body that is not the protocol's
            return _failed(Tag.MALFORMED, e, began)
        return _read(reply, time.monotonic() - began)

    async def _ask(self, query: Query) -> Any:
        extra: dict[str, Any] = {}
        if self._schema:
            schema = {"name": "verdict", "schema": SCHEMA, "strict": True}
            extra["response_format"] = {"type": "json_schema", "json_schema": schema}
        return await self._client.chat.completions.create(
            model=self.model,
            temperature=0.0,
            messages=[{"role": "system", "content": self._static}, {"role": "user", "content": query_prompt(query)}],
            **extra,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _read(reply: Any, latency_s: float) -> Verdict:
    counted = getattr(reply, "usage", None)
    usage = Usage(
        calls=1,
        prompt_tokens=getattr(counted, "prompt_tokens", 0) or 0,
        completion_tokens=getattr(counted, "completion_tokens", 0) or 0,
        usd=None,
        latency_s=latency_s,
    )
    choices = getattr(reply, "choices", None)
    if not choices:
        return Verdict(Tag.MALFORMED, usage=usage, detail="the reply has no choices")
    message = choices[0].message
    if getattr(message, "refusal", None) or choices[0].finish_reason == "content_filter":
        return Verdict(Tag.REFUSED, usage=usage, detail=str(getattr(message, "refusal", None) or "content filter")[:200])
    return read_answer(message.content, usage)


def _failed(tag: Tag, error: Exception, began: float, retry_after_s: float | None = None) -> Verdict:
    usage = Usage(calls=1, usd=None, latency_s=time.monotonic() - began)
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Verdict(tag, usage=usage, detail=first_line[:200], retry_after_s=retry_after_s)


def retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait, None when it does not say."""
    value = headers.get("retry-after") if headers is not None else None
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None  # a date: rare, and our own back-off does as well


def _is_local(base_url: str | None) -> bool:
    host = urlparse(base_url).hostname if base_url else None
    return host in ("localhost", "127.0.0.1", "::1", "0.0.0.0")
