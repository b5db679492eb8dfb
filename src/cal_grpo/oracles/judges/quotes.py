"""A judge's quote, put right by what it must have been copied from, and checked against it."""

import re
from typing import Any

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.oracles.types import Query

_EATEN = {"\t": "t", "\n": "n", "\r": "r", "\b": "b", "\f": "f"}
_CONTROL = re.compile(r"([\t\n\r\b\f])([A-Za-z]*)")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
# Fields that may be learned by heart: what is no text there is left out (``corrections.bounded``), not another text.
_LEARNED = frozenset(("correction", "corrected"))
# What is a command wherever it stands, even where question, reference and response have none.
_KNOWN = frozenset(("times", "text", "tan", "theta", "tfrac", "triangle", "right", "rightarrow", "rho", "neq", "nabla"))


def put_right(answer: dict[str, Any], query: Query) -> dict[str, Any]:
    r"""An answer's texts as they were meant.

    JSON reads a LaTeX command with one backslash, ``\times``, as a tab and ``imes``. It becomes a command again where the
    texts of the query have that command, and a backslash that was doubled too often becomes one.
    """
    commands = set(_COMMAND.findall(f"{query.response}\n{query.reference}\n{query.question}"))
    return {
        name: _put_right(text if name in _LEARNED else _encodable(text), query, commands) if isinstance(text, str) else text
        for name, text in answer.items()
    }


def _encodable(text: str) -> str:
    """Without lone surrogates, which JSON can spell but UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _put_right(text: str, query: Query, commands: set[str]) -> str:
    if text in query.response:
        return text
    if "\\\\" in text and "\\\\" not in query.response:
        text = text.replace("\\\\", "\\")

    def command(match: re.Match[str]) -> str:
        word = _EATEN[match[1]] + match[2]
        meant = match[1] in "\b\f" or word in commands or word in _KNOWN
        return f"\\{word}" if meant and match[2] else match[0]

    return _CONTROL.sub(command, text)


def unusable(segment: str, hint: str | None, critique: str, query: Query) -> str:
    """Why a quote is none of the response, in words that its judge can use; empty when it is one."""
    found = find_quote(query.response, segment, hint)
    if not isinstance(found, Miss):
        return ""
    if found.reason == "junk":
        return "the segment has no word or number"
    if found.reason == "ambiguous":
        return "the segment fits several places of the response"
    for where, text in (
        ("the reference solution", query.reference),
        ("the question", query.question),
        ("your own critique", critique),
    ):
        if segment.strip() in text or not isinstance(find_quote(text, segment), Miss):
            return f"the segment is not in the response but in {where}"
    return "the segment is not in the response"
