"""An oracle on Google's Gemini API."""

import os
import time
from collections.abc import Sequence
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.few_shot import FewShot
from cal_grpo.oracles.openai import _failed, retry_after
from cal_grpo.oracles.prompt import SCHEMA, query_prompt, read_answer, static_prompt
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

DEFAULT_MODEL = "gemini-2.5-flash"


class GeminiOracle:
    """Asks for JSON of our schema at temperature 0.

    Args:
        model: default ``gemini-2.5-flash``.
        base_url: another endpoint that speaks the protocol.
        api_key: default ``GEMINI_API_KEY`` (or ``GOOGLE_API_KEY``).
        few_shot: worked examples for the prompt.
        timeout_s: time limit of one call.

    Raises:
        UsageError: no key.
    """

    name = "gemini"

    def __init__(
        self,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        few_shot: Sequence[FewShot] = (),
        timeout_s: float = 60.0,
    ) -> None:
        api_key = api_key or os.environ.get("GEMINI_API_KEY") or os.environ.get("GOOGLE_API_KEY") or None
        if api_key is None:
            raise UsageError("oracle 'gemini' got no API key; set GEMINI_API_KEY (environment or .env)")
        self.model, self.timeout_s = model or DEFAULT_MODEL, timeout_s
        self._base_url, self._api_key = base_url, api_key
        self._static = static_prompt(few_shot)
        self._client: Any = None

    async def locate(self, query: Query) -> Verdict:
        import httpx
        from google import genai
        from google.genai import errors, types

        if self._client is None:
            options = types.HttpOptions(base_url=self._base_url, timeout=int(self.timeout_s * 1000))
            self._client = genai.Client(api_key=self._api_key, http_options=options)
        began = time.monotonic()
        try:
            reply = await self._client.aio.models.generate_content(
                model=self.model,
                contents=query_prompt(query),
                config=types.GenerateContentConfig(
                    system_instruction=self._static,
                    temperature=0.0,
                    response_mime_type="application/json",
                    response_json_schema=SCHEMA,
                ),
            )
        except errors.APIError as e:
            headers = getattr(e.response, "headers", None)
            if e.code == 429:
                return _failed(Tag.RATE_LIMITED, e, began, retry_after(headers))
            if e.code in (408, 504):
                return _failed(Tag.TIMEOUT, e, began)
            return _failed(Tag.UNAVAILABLE if (e.code or 0) >= 500 else Tag.REJECTED, e, began, retry_after(headers))
        except (httpx.TimeoutException, TimeoutError) as e:
            return _failed(Tag.TIMEOUT, e, began)
        except (httpx.HTTPError, OSError) as e:
            return _failed(Tag.UNAVAILABLE, e, began)
        except ValueError as e:  # a body that is not the protocol's
            return _failed(Tag.MALFORMED, e, began)
        return _read(reply, time.monotonic() - began)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aio.aclose()
            self._client = None


def _read(reply: Any, latency_s: float) -> Verdict:
    counted = reply.usage_metadata
    usage = Usage(
        calls=1,
        prompt_tokens=(counted and counted.prompt_token_count) or 0,
        completion_tokens=(counted and counted.candidates_token_count) or 0,
        usd=None,
        latency_s=latency_s,
    )
    feedback = reply.prompt_feedback
    if feedback is not None and feedback.block_reason:
        return Verdict(Tag.REFUSED, usage=usage, detail=f"prompt blocked: {feedback.block_reason}")
    if not reply.candidates:
        return Verdict(Tag.MALFORMED, usage=usage, detail="the reply has no candidates")
    reason = reply.candidates[0].finish_reason
    if reason is not None and reason.name in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"):
        return Verdict(Tag.REFUSED, usage=usage, detail=f"answer blocked: {reason.name}")
    parts = (reply.candidates[0].content and reply.candidates[0].content.parts) or []
    return read_answer("".join(part.text or "" for part in parts if not part.thought), usage)
