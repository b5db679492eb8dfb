"""A judge's HTTP server on 127.0.0.1 that speaks OpenAI's and Gemini's protocols and does what a script says.

Tests run it on a thread (``JudgeServer``); benchmarks run it as a process of its own (``python _judge_server.py``, see
``ServerProcess``), so that it does not share an interpreter with what is measured.
"""

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def is_gemini(self) -> bool:
        return ":generateContent" in self.path

    @property
    def system(self) -> str:
        """The static prompt."""
        if self.is_gemini:
            return self.body["systemInstruction"]["parts"][0]["text"]
        return self.body["messages"][0]["content"]

    @property
    def prompt(self) -> str:
        """The part about one response."""
        if self.is_gemini:
            return self.body["contents"][-1]["parts"][0]["text"]
        return self.body["messages"][-1]["content"]

    @property
    def response(self) -> str:
        """What stands between the two fences."""
        fence = self.prompt.rsplit("END ", 1)[1].split("\n")[0]
        return self.prompt.split(f"\nBEGIN {fence}\n")[1].rsplit(f"\nEND {fence}", 1)[0]


@dataclass(frozen=True)
class Reply:
    """What the server does. ``fault`` ``"reset"`` drops the connection, ``"cut"`` drops it in the middle of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    latency_s: float = 0.0
    fault: str = ""


Script = Callable[[Request], Reply]


def verdict(segment: str, critique: str = "wrong here", hint: str = "") -> str:
    """A judge's answer as our schema has it."""
    return json.dumps({"critique": critique, "segment": segment, "hint": hint})


def answer(request: Request, text: str, tokens: tuple[int, int] = (900, 60), **reply: Any) -> Reply:
    """A model's answer in the request's protocol, with the prompt and completion tokens it reports."""
    if request.is_gemini:
        usage = {"promptTokenCount": tokens[0], "candidatesTokenCount": tokens[1]}
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}
        body: dict[str, Any] = {"candidates": [candidate], "usageMetadata": usage}
    else:
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        message = {"role": "assistant", "content": text}
        body = {
            "id": "x", "object": "chat.completion", "created": 0, "model": request.body.get("model"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
        }  # fmt: skip
    return Reply(json.dumps(body).encode(), **reply)


def error(request: Request, status: int, message: str = "no", **reply: Any) -> Reply:
    """An error in the request's protocol."""
    body = {"error": {"message": message, "code": status}}
    return Reply(json.dumps(body).encode(), status, **reply)


def blame_first_line(request: Request) -> Reply:
    """The default script: the first line of the response is wrong."""
    return answer(request, verdict(next((line for line in request.response.splitlines() if line.strip()), "")))


class JudgeServer:
    """Runs on a thread of its own; ``script`` may be replaced at any time, ``requests`` is what came."""

    def __init__(self, script: Script = blame_first_line) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def start(self, port: int = 0) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    @property
    def openai(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def gemini(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (request := await _read(reader)) is not None:
                await self._reply(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self.script(request)
            if reply.latency_s:
                await asyncio.sleep(reply.latency_s)
        finally:
            self.in_flight -= 1
        if reply.fault == "reset":
            linger_not_at_all = struct.pack("ii", 1, 0)  # makes closing a TCP reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not_at_all)
            writer.transport.abort()
            raise ConnectionResetError
        headers = {"content-type": "application/json", "content-length": str(len(reply.body))} | reply.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sent = reply.body[: len(reply.body) // 2] if reply.fault == "cut" else reply.body
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + sent)
        await writer.drain()
        if reply.fault == "cut":
            writer.transport.close()
            raise ConnectionResetError


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None  # the client closed the connection between two requests
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(head[0].split()[1], headers, json.loads(body or b"{}"))


class Window:
    """At most so many requests in any window of so many seconds; the others get a 429 with ``Retry-After``."""

    def __init__(self, requests: int, seconds: float, tell: bool = True) -> None:
        self.requests, self.seconds, self.tell = requests, seconds, tell
        self._taken: deque[float] = deque()

    def refusal(self, request: Request) -> Reply | None:
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        if len(self._taken) < self.requests:
            self._taken.append(now)
            return None
        wait_s = self._taken[0] + self.seconds - now
        return error(request, 429, "slow down", headers={"retry-after": f"{wait_s:.3f}"} if self.tell else {})


class Bucket:
    """Requests flow back at a steady rate into a bucket of so many; the others get a 429 with ``Retry-After``."""

    def __init__(self, size: int, per_second: float, tell: bool = True) -> None:
        self.size, self.per_second, self.tell = size, per_second, tell
        self._level, self._seen = float(size), time.monotonic()

    def refusal(self, request: Request) -> Reply | None:
        now = time.monotonic()
        self._level = min(self.size, self._level + (now - self._seen) * self.per_second)
        self._seen = now
        if self._level >= 1:
            self._level -= 1
            return None
        wait_s = (1 - self._level) / self.per_second
        return error(request, 429, "slow down", headers={"retry-after": f"{wait_s:.3f}"} if self.tell else {})


class ServerProcess:
    """The server of ``main`` below in a process of its own; ``counts()`` asks it what it has seen."""

    def __init__(self, **settings: Any) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), json.dumps(settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())
        self.openai, self.gemini = f"http://127.0.0.1:{self.port}/v1", f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def counts(self) -> dict[str, Any]:
        """``latencies_s``, ``refused``, ``answered`` (distinct responses), ``answered_again``, ``most_in_flight``."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def main(settings: dict[str, Any]) -> None:
    """Serve with latencies drawn between ``low_s`` and ``high_s`` from ``seed``, behind a ``window`` or ``bucket``."""
    draw = random.Random(f"latency/{settings.get('seed', 0)}")
    limits: list[Window | Bucket] = []
    if "window" in settings:
        limits.append(Window(*settings["window"]))
    if "bucket" in settings:
        limits.append(Bucket(*settings["bucket"]))
    latencies: list[float] = []
    answered: dict[str, int] = {}
    refused = 0

    def script(request: Request) -> Reply:
        nonlocal refused
        for limit in limits:
            if (refusal := limit.refusal(request)) is not None:
                refused += 1
                return refusal
        latencies.append(draw.uniform(settings.get("low_s", 0.0), settings.get("high_s", 0.0)))
        answered[request.response] = answered.get(request.response, 0) + 1
        server.requests.clear()  # ten thousand prompts need not be kept
        line = request.response.splitlines()[0]
        return answer(request, verdict(line), latency_s=latencies[-1])

    server = JudgeServer(script)

    async def serve() -> None:
        await server.start()
        print(server.port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            counts = {
                "latencies_s": latencies,
                "refused": refused,
                "answered": len(answered),
                "answered_again": sum(n - 1 for n in answered.values()),
                "most_in_flight": server.most_in_flight,
            }
            print(json.dumps(counts), flush=True)

    asyncio.run(serve())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
