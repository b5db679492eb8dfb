"""Mathematics in a process of its own.

sympy can be made to compute for ever inside one C call, where neither a signal nor a thread can stop it; a process can
always be killed. It is started when the first answer needs it, and again after it had to be killed.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue

TIME_LIMIT_S = 5.0
_START_LIMIT_S = 60.0  # importing sympy on a busy machine
_DIED, _LATE = "", "late"  # instead of the process's "0" or "1"

_PROGRAM = Path(__file__).with_name("mathematics.py")

_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None
_replies: Queue[str] = Queue()


def math_equal(answer: str, expected: str, time_limit_s: float = TIME_LIMIT_S) -> bool:
    """Whether two short expressions are equal; False when that is not known within the time limit.

    Safe to call from any thread, and after a fork from any process.

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
        _process.stdin.write(json.dumps([answer, expected]).encode() + b"\n")
        reply = _replies.get(timeout=time_limit_s)
    except Empty:
        reply = _LATE
    except OSError:  # it died before it could be asked
        pass
    if reply in (_DIED, _LATE):
        _stop()
    return reply


def _start() -> subprocess.Popen[bytes]:
    global _replies, _process
    _stop()
    _replies = Queue()
    _process = subprocess.Popen(
        [sys.executable, "-P", str(_PROGRAM)],  # -P: a sympy.py in the working directory is not sympy
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,  # buffers have locks, which a fork would copy
    )
    threading.Thread(target=_read, args=(_process, _replies), daemon=True, name="math-verify").start()
    process, reply = _process, ""
    with contextlib.suppress(Empty):
        reply = _replies.get(timeout=_START_LIMIT_S)
    if reply != "ready":
        _stop()
        raise RuntimeError(f"math-verify did not start; try: {sys.executable} -P {_PROGRAM}")
    return process


def _read(process: subprocess.Popen[bytes], replies: "Queue[str]") -> None:
    assert process.stdout is not None
    with contextlib.suppress(OSError, ValueError):  # closed by a fork's child
        for line in process.stdout:
            replies.put(line.decode().strip())
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


def _forget() -> None:
    """After a fork: the process, its reader and whoever held the lock are the parent's; start afresh when asked."""
    global _lock, _process, _replies
    _lock, _replies = threading.Lock(), Queue()
    if _process is not None:
        for pipe in (_process.stdin, _process.stdout):
            if pipe is not None:
                pipe.close()
        _process.returncode = 0  # not a child of this process, which therefore must not wait for it
        _process = None


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
