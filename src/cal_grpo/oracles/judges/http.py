"""HTTP as a judge needs it: a key that goes to its server and nowhere else, and a reply that has an end."""

import base64
import json
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from urllib.request import getproxies

from cal_grpo.errors import UsageError, one_line
from cal_grpo.oracles.types import Tag, Verdict

LONGEST_REPLY = 2**20  # bytes
_SHORTEST_SECRET = 8  # what is shorter stands in for a key, such as "none" for a local server
_LONGEST_DETAIL = 2000  # characters


class Unreadable(Exception):
    """A reply that is not read on, and what it counts as."""

    def __init__(self, tag: Tag, detail: str) -> None:
        super().__init__(detail)
        self.tag = tag


def clean_key(key: str | None, name: str) -> str | None:
    """A key without the white space and line breaks around it; None where nothing is left.

    Raises:
        UsageError: it holds a character that no header may have. The message does not show it.
    """
    key = (key or "").strip().strip("\ufeff\u200b").strip()
    if not all("!" <= c <= "~" for c in key):
        raise UsageError(
            f"{name} holds white space or a character that no key has; expected letters, digits and signs: copy it anew"
        )
    return key or None


def check_endpoint(url: str) -> None:
    """Look at a base URL before a run begins.

    Raises:
        UsageError: nothing can be asked there. The message shows no user, password or query.
    """
    place = re.fullmatch(r"(?:[^?#]*@)?([^@?#]*)(?:[?#][^@]*)?", url)  # an @ behind a ? may be of either: nothing is shown
    shown = one_line(place[1]) if place else ""
    named = f"base URL {shown!r}" if shown else "base URL"
    if "://" not in url:
        example = f"http://{shown or 'HOST:PORT/PATH'}"
        raise UsageError(f"{named} has no http:// or https:// before it; expected one, such as {example}")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # such as a port of 99999
        usable = False
    if not usable:
        raise UsageError(f"{named} is not one of a server; expected http://HOST:PORT/PATH, with a port up to 65535, or https")


def secrets_of(key: str, url: str) -> tuple[str, ...]:
    """What must not be told: the key, and what a URL and the environment's proxies have of a user, a password and a query."""
    told: list[str] = []
    for place in (url, *getproxies().values()):
        with suppress(ValueError):
            parts = urlsplit(place)
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
            basic = f"{user}:{password}"  # which Basic authorization spells in base64
            told += [basic, user, password, *(value for _, value in parse_qsl(parts.query))]
    return tuple(dict.fromkeys(secret for secret in (key, *told) if secret and len(secret) >= _SHORTEST_SECRET))


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with the secrets blacked out, however they are spelt: servers and proxies are known to echo them."""
    for secret in secrets:
        spelt = {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        spelt |= {base64.b64encode(secret.encode()).decode().rstrip("=")}
        text = re.sub("|".join(map(re.escape, sorted(spelt, key=len, reverse=True))), "[key]", text, flags=re.IGNORECASE)
    return text


def cleared(verdict: Verdict, secrets: Iterable[str]) -> Verdict:
    """A verdict whose texts hold no secret, and whose detail is one line that a terminal can show."""
    segment = without_secrets(verdict.segment, secrets)
    hint = verdict.hint and without_secrets(verdict.hint, secrets)
    # Of a detail more than is kept, so that no secret is cut in two; not a megabyte of it, for this is done on an event loop
    told = (verdict.critique, verdict.correction, verdict.detail[: 4 * _LONGEST_DETAIL])
    critique, correction, detail = (without_secrets(text, secrets) for text in told)
    detail = one_line(detail)[:_LONGEST_DETAIL]
    return replace(verdict, critique=critique, segment=segment, hint=hint, correction=correction, detail=detail)


def new_client(httpx: Any, timeout_s: float, url: str) -> Any:
    """An ``AsyncClient`` for one server. A redirect to another is not followed, for the key would go along; replies are at
    most 1 MB. A request raises ``Unreadable`` for either.

    Args:
        httpx: the library that whoever uses the client is made for, httpx or its successor httpx2.
        timeout_s: between two bytes.
        url: the server's, as ``check_endpoint`` has let it pass.

    Raises:
        UsageError: the library knows no such address, or the environment names a proxy that cannot be used.
    """
    try:
        httpx.URL(url)
    except httpx.InvalidURL as e:  # such as a host that has no name in ASCII
        raise UsageError(
            f"base URL is not one of a server ({one_line(str(e)):.200}); expected http://HOST:PORT/PATH, or https"
        ) from None

    class Bounded(httpx.AsyncByteStream):
        def __init__(self, stream: Any, packed: bool) -> None:
            self._stream, self._size = stream, 0
            self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress if packed else None

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                if self._unpack is not None:
                    try:
                        chunk = self._unpack(chunk, LONGEST_REPLY + 1)  # enough to say that it is too long
                    except zlib.error as e:
                        raise Unreadable(Tag.MALFORMED, f"the reply cannot be unpacked ({e})") from None
                self._size += len(chunk)
                if self._size > LONGEST_REPLY:
                    raise Unreadable(Tag.MALFORMED, f"the reply is longer than {LONGEST_REPLY} bytes")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def check(response: Any) -> None:
        if response.has_redirect_location:
            try:
                target = response.url.join(response.headers["location"])
            except (httpx.InvalidURL, ValueError):
                raise Unreadable(Tag.REJECTED, "the server redirects to an address that is none; check the base URL") from None
            if (target.scheme, target.host, target.port) != (response.url.scheme, response.url.host, response.url.port):
                port = f":{target.port}" if target.port else ""
                where = f"{target.scheme}://{target.host}{port}{target.path}"
                raise Unreadable(Tag.REJECTED, f"the server redirects to {where}, which is not followed; set that as base URL")
        # Unpacked here, where it is counted: a kilobyte may be a megabyte
        packed = response.headers.pop("content-encoding", "").lower()  # others are read as they are: some say "utf-8" there
        response.stream = Bounded(response.stream, packed in ("gzip", "x-gzip", "deflate"))

    headers = {"accept-encoding": "identity"}
    try:
        for scheme, proxy in getproxies().items():
            if scheme != "no":
                _ = urlsplit(proxy).port  # of one over 65535 httpx finds out when it connects, with an OverflowError
        return httpx.AsyncClient(
            timeout=timeout_s, follow_redirects=True, max_redirects=3, headers=headers, event_hooks={"response": [check]}
        )
    except (ValueError, ImportError, httpx.InvalidURL) as e:
        proxies = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
        said = without_secrets(one_line(str(e)), [secret for proxy in proxies for secret in secrets_of("", proxy)])
        raise UsageError(
            f"the judge's HTTP client cannot be made ({said:.200}); HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY: expected "
            "none, or http://HOST:PORT"
        ) from None
