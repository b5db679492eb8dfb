"""What a server is sent beside the messages, less what it said that it does not know."""

import re
from collections.abc import Mapping
from typing import Any

from cal_grpo.oracles.types import Query

STATUSES = (400, 422, 500, 501)  # with which servers refuse a setting
_NAMES = {
    "response_format": r"response[_ ]format|json[_ ]schema|json_object|grammar|guided|structured.output",
    "temperature": r"temperature",
    "max_tokens": r"max_tokens",
}
_NOT = r"(?:\bnot|n['’]t|\bno longer)(?: \w+)?"
_UNKNOWN = (
    rf"unsupported|unknown|unrecogni[sz]ed|unexpected|deprecated|no such|extra (inputs|fields)|"
    rf"{_NOT} (support|permit|allow|accept|recogni[sz]|apply|implemented)"
)
_UNFIT = (
    rf"{_UNKNOWN}|input should be|must be|invalid|{_NOT} (valid|available|enabled)|fail|cannot|can['’]t|unable|unavailable|only"
)
_ABOUT_THE_REQUEST = r"context|too (large|long|many)|exceed|maximum|at (most|least)|(?<!no )longer|shorten|reduce"
_SENTENCE = re.compile(r"[.;!]\s|\n")
_SHORTEST_ECHO = 8  # characters
_LONGEST_COMPLAINT = 40_000  # characters; an error of a megabyte would hold up the event loop


class Settings:
    """Those of one server.

    Args:
        temperature: of sampling.
        max_tokens: of an answer; None: the server decides.
    """

    def __init__(self, temperature: float, max_tokens: int | None) -> None:
        self._temperature: float | None = temperature
        self._max_tokens, self._limit = max_tokens, "max_tokens"
        self._format: str | None = "json_schema"

    def to_send(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """As arguments of a chat completion; ``schema`` is the answer's."""
        sent: dict[str, Any] = {}
        if self._temperature is not None:
            sent["temperature"] = self._temperature
        if self._format == "json_schema":
            sent["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "schema": dict(schema), "strict": True},
            }
        elif self._format:
            sent["response_format"] = {"type": self._format}
        if self._max_tokens:
            sent[self._limit] = self._max_tokens
        return sent

    def learn(self, sent: Mapping[str, Any], body: Any, query: Query) -> str | None:
        """Change the setting that an error complains about, if it is about one.

        Args:
            sent: the settings that were sent.
            body: the error's, as JSON or text.
            query: what was asked; what an error echoes of it says nothing.

        Returns:
            What was changed, in words; None where the error is about something else, such as a prompt that is too long.
        """
        complaint = _complaint(body, query)
        for name in _NAMES:
            if name in sent and any(_is_about(name, sentence) for sentence in complaint):
                return self._change(name, sent[name], " ".join(complaint))
        return None

    def _change(self, name: str, value: Any, complaint: str) -> str:
        if name == "temperature":
            self._temperature = None
        elif name == "max_tokens":
            self._limit = "max_completion_tokens"  # as OpenAI's reasoning models have it
            return "max_tokens, sent as max_completion_tokens from now on"
        elif value["type"] == "json_schema" and "json_object" in complaint:
            self._format = self._format and "json_object"
            return "json_schema, asked for json_object from now on"
        else:
            self._format = None
        return f"{name}, left out from now on"


def _is_about(name: str, sentence: str) -> bool:
    if re.search(_NAMES[name], sentence) is None:
        return False
    if name == "max_tokens":  # a limit that does not fit beside this prompt is a matter of this prompt
        return re.search(_UNKNOWN, sentence) is not None and re.search(_ABOUT_THE_REQUEST, sentence) is None
    return re.search(_UNFIT, sentence) is not None


def _complaint(body: Any, query: Query) -> list[str]:
    """An error's sentences in small letters, each with the field that it is about where the server names one."""
    error = body.get("error", body) if isinstance(body, dict) else body
    detail = error.get("detail") if isinstance(error, dict) else None
    if isinstance(detail, list):  # FastAPI's: what it echoes stands apart
        told = [
            f"{'.'.join(map(str, e.get('loc', ())))}: {e.get('msg', '')}"[:_LONGEST_COMPLAINT]
            for e in detail[:100]
            if isinstance(e, dict)
        ]
    elif isinstance(error, dict):
        param, message = error.get("param"), error.get("message") or detail or error
        told = _SENTENCE.split(_without_echo(str(message), query))
        if isinstance(param, str) and param:
            told = [f"{param}: {' '.join(told)}"] if any(re.search(names, param) for names in _NAMES.values()) else []
    else:
        told = _SENTENCE.split(_without_echo(str(error), query))
    return [sentence.lower() for sentence in told]


def _without_echo(message: str, query: Query) -> str:
    if len(message) > _LONGEST_COMPLAINT:  # without the line that is cut: what is left of an echo would not be known as one
        message = message[:_LONGEST_COMPLAINT].rpartition("\n")[0]
    for text in (query.response, query.reference, query.question):
        for line in (text, *text.splitlines()):
            if len(line) >= _SHORTEST_ECHO:
                message = message.replace(line, "")
    return message
