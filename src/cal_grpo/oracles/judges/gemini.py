"""An oracle on Google's Gemini API."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.http import Unreadable, check_endpoint, clean_key, cleared, new_client, secrets_of
from cal_grpo.oracles.judges.prices import price_of
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle, query_prompt, static_prompt
from cal_grpo.oracles.judges.reading import Reply, read_reply
from cal_grpo.oracles.judges.replies import failed, identity, is_spent, retry_after, retry_delay, tag_of_status
from cal_grpo.oracles.types import Query, Tag, Verdict

DEFAULT_MODEL = "gemini-2.5-flash"
_LONGEST_WAIT_S = 86_400.0  # between two bytes; the client wants whole milliseconds, which there are not of every number
_BLOCKED = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII")


class GeminiOracle:
    """Asks for JSON of our schema.

    Args:
        model: default ``gemini-2.5-flash``.
        base_url: another endpoint that speaks the protocol.
        api_key: default ``GEMINI_API_KEY`` (or ``GOOGLE_API_KEY``).
        few_shot: worked examples for the prompt.
        timeout_s: time limit of one call.
        prices: YAML file whose prices win over the package's.
        style: how the error is asked for.
        temperature: of sampling; above 0, several answers to one question differ.
        max_answer_tokens: an answer is cut off there, thinking included; None: the server decides.
        ask_again: how often a quote that is not in the response is asked for once more, see ``locate_again``.

    Raises:
        UsageError: no key or one that is none, a base URL or a proxy that is none, or unreadable prices.
    """

    name = "gemini"
    awaits = True

    def __init__(
        self,
        model: str | None = None,
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
        api_key = api_key or os.environ.get("GEMINI_API_KEY") or os.environ.get("GOOGLE_API_KEY")
        api_key = clean_key(api_key, "GEMINI_API_KEY")
        if api_key is None:
            raise UsageError("oracle 'gemini' got no API key; set GEMINI_API_KEY (environment or .env)")
        self.endpoint = base_url or "https://generativelanguage.googleapis.com"
        check_endpoint(self.endpoint)
        from google import genai  # a second or two: here, not while the first questions wait

        self.model, self.timeout_s = model or DEFAULT_MODEL, timeout_s
        self.price = price_of(self.model, prices)
        self.ask_again, self.corrects = ask_again, style.corrects
        self._style, self._static = style, static_prompt(few_shot, style)
        sampling = {"temperature": temperature} | ({"max_tokens": max_answer_tokens} if max_answer_tokens else {})
        self.identity = identity(self.name, self.model, self._static, sampling, style, ask_again)
        self._genai = genai
        self._api_key, self._secrets = api_key, secrets_of(api_key, self.endpoint)
        self._client, self._http = self._connected()
        self._max_answer_tokens = max_answer_tokens
        self._config = genai.types.GenerateContentConfig(
            system_instruction=self._static,
            temperature=temperature,
            max_output_tokens=max_answer_tokens,
            response_mime_type="application/json",
            response_json_schema=style.schema(),
        )

    async def locate(self, query: Query) -> Verdict:
        return await self._ask(query, None)

    async def locate_again(self, query: Query, before: Verdict) -> Verdict:
        """Ask once more, with the reason why the quote of the verdict before was of no use."""
        return await self._ask(query, before)

    async def _ask(self, query: Query, before: Verdict | None) -> Verdict:
        import httpx

        if self._client is None:  # it was closed
            self._client, self._http = self._connected()
        began = time.monotonic()
        config = self._config.model_copy(update={"response_json_schema": self._style.schema(query.response)})
        try:
            # The client's limit is one between two bytes; this one is on the whole call.
            async with asyncio.timeout(self.timeout_s):
                reply = await self._client.aio.models.generate_content(
                    model=self.model, contents=query_prompt(query, self._style, before), config=config
                )
            # What takes long to read holds nobody else up
            verdict = await asyncio.to_thread(self._read, reply, time.monotonic() - began, query)
        except self._genai.errors.APIError as e:
            pause_s = retry_after(getattr(e.response, "headers", None))
            tag = Tag.REJECTED if is_spent(e.details) else tag_of_status(e.code or 0)
            verdict = self._failed(tag, e, began, retry_delay(e.details) if pause_s is None else pause_s)
        except Unreadable as e:
            verdict = self._failed(e.tag, e, began)
        except httpx.InvalidURL as e:  # the model's name is part of it
            verdict = self._failed(Tag.REJECTED, f"model {self.model[:60]!r} makes an address that is none ({e})", began)
        except (TimeoutError, httpx.TimeoutException) as e:
            verdict = self._failed(Tag.TIMEOUT, e, began)
        except (OSError, httpx.HTTPError) as e:
            verdict = self._failed(Tag.UNAVAILABLE, e, began)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as e:
            # The client reads the body before it knows that it is the protocol's (google-genai 3.6.1).
            verdict = self._failed(Tag.MALFORMED, f"the reply is off the protocol: {e}", began)
        return cleared(verdict, self._secrets)

    def _connected(self) -> tuple[Any, Any]:
        """The client, and what it speaks HTTP with."""
        import httpx

        types, http = self._genai.types, new_client(httpx, self.timeout_s, self.endpoint)
        options = types.HttpOptions(
            base_url=self.endpoint,
            timeout=int(min(self.timeout_s, _LONGEST_WAIT_S) * 1000),
            # One attempt: without this the client tries dropped connections once more (google-genai 3.6.1, aiohttp).
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=http,
        )
        return self._genai.Client(api_key=self._api_key, http_options=options), http

    def _failed(self, tag: Tag, error: Exception | str, began: float, retry_after_s: float | None = None) -> Verdict:
        return failed(tag, error, began, self.price, retry_after_s)

    def _read(self, reply: Any, latency_s: float, query: Query) -> Verdict:
        return read_reply(_said(reply), latency_s, self.price, query, self._style, self._max_answer_tokens)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aio.aclose()
            await self._http.aclose()  # it was given to the client, which leaves it open
            self._client = None


def _said(reply: Any) -> Reply:
    counted = reply.usage_metadata
    answered = (counted.candidates_token_count, counted.thoughts_token_count) if counted else ()
    told = Reply(counted and counted.prompt_token_count, answered)
    if reply.prompt_feedback is not None and reply.prompt_feedback.block_reason:
        return told._replace(refused=f"prompt blocked: {reply.prompt_feedback.block_reason}")
    if not reply.candidates:
        return told._replace(lacking="candidates")
    reason = reply.candidates[0].finish_reason and reply.candidates[0].finish_reason.name
    if reason in _BLOCKED:
        return told._replace(refused=f"answer blocked: {reason}")
    parts = (reply.candidates[0].content and reply.candidates[0].content.parts) or []
    return told._replace(text="".join(part.text or "" for part in parts if not part.thought), cut=reason == "MAX_TOKENS")
