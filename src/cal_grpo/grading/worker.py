"""math-verify in a process of its own.

sympy can be made to compute for ever inside one C call, where neither a signal nor a thread can stop it; a process can
always be killed. It is started when the first answer needs it, and again after it had to be killed.
"""

import atexit
import contextlib
import json
import subprocess
import sys
import threading
from queue import Empty, Queue

TIME_LIMIT_S = 5.0
_START_LIMIT_S = 60.0  # importing sympy on a busy machine
_DIED, _LATE = "", "late"  # instead of the process's "0" or "1"

_lock = threading.Lock()
_process: subprocess.Popen[str] | None = None
_replies: Queue[str] = Queue()


def math_equal(answer: str, expected: str, time_limit_s: float = TIME_LIMIT_S) -> bool:
    """math-verify's opinion on two short expressions; False when it has none within the time limit. Thread-safe.

    Raises:
        RuntimeError: the process cannot be started at all.
    """
    with _lock:
        reply = _ask(answer, expected, time_limit_s)
        if reply == _DIED:  # perhaps killed from outside, which says nothing about the answer
            reply = _ask(answer, expected, time_limit_s)
        return reply == "1"


def _ask(answer: str, expected: str, time_limit_s: float) -> str:
    global _process
    if _process is None or _process.poll() is not None:
        _process = _start()
    reply = _DIED
    try:
        assert _process.stdin is not None
        _process.stdin.write(json.dumps([answer, expected]) + "\n")
        _process.stdin.flush()
        reply = _replies.get(timeout=time_limit_s)
    except Empty:
        reply = _LATE
    except OSError:  # it died before it could be asked
        pass
    if reply in (_DIED, _LATE):
        _stop()
    return reply


def _start() -> subprocess.Popen[str]:
    global _replies, _process
    _stop()
    _replies = Queue()
    _process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    threading.Thread(target=_read, args=(_process, _replies), daemon=True, name="math-verify").start()
    process, reply = _process, ""
    with contextlib.suppress(Empty):
        reply = _replies.get(timeout=_START_LIMIT_S)
    if reply != "ready":
        _stop()
        raise RuntimeError(f"math-verify did not start; try: {sys.executable} -m {__name__}")
    return process


def _read(process: subprocess.Popen[str], replies: "Queue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        replies.put(line.strip())
    replies.put(_DIED)  # it ended: nobody waits for a dead process


def _stop() -> None:
    global _process
    if _process is not None:
        _process.kill()
        _process.wait()
        for pipe in (_process.stdin, _process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what the killed process had not read
                    pipe.close()
        _process = None


atexit.register(_stop)


def _serve() -> None:
    from math_verify import parse, verify

    print("ready", flush=True)
    for line in sys.stdin:
        answer, expected = json.loads(line)
        try:
            gold = parse(f"${expected}$", parsing_timeout=None)
            equal = bool(verify(gold, parse(f"${answer}$", parsing_timeout=None), timeout_seconds=None))
        except Exception:  # noqa: BLE001 - sympy raises anything on hostile input; an answer that cannot be read is not right
            equal = False
        print(int(equal), flush=True)


if __name__ == "__main__":
    _serve()
