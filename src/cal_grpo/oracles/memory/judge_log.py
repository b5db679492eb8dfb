"""The judge log: what was asked, answered and paid, a line each, and its replay."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cal_grpo.errors import UsageError
from cal_grpo.jsonlines import scan_jsonl
from cal_grpo.oracles.memory.records import read_verdict, request_digest, verdict_record
from cal_grpo.oracles.types import Query, Verdict


class JudgeLog:
    """Appends a JSON object a line: one for each call, and one for each answer that needed no call.

    ``final`` marks what whoever asked was told; the others were tried again. Keys and headers never reach this class.

    Args:
        path: the file; created when the first line is written.
        identity: who is asked, such as oracle and model; part of every line.
        tell: hears once when the file cannot be written; the run goes on.
    """

    def __init__(self, path: Path, identity: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self.path, self._identity, self._tell = path, dict(identity), tell
        self._file: IO[str] | None = None
        self._broken = False

    def write(self, request: str, verdict: Verdict, attempt: int, final: bool) -> None:
        """One line, handed to the operating system when this returns.

        Args:
            request: the query's digest.
            verdict: what came, with the usage of this call alone.
            attempt: number of the call for this question, from 1; 0 where there was none.
            final: whether this is the answer that is used.
        """
        if self._broken:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"time": now, "request": request} | self._identity
        record = head | {"attempt": attempt, "final": final, "cached": verdict.cached} | verdict_record(verdict)
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as e:
            self._broken = True
            self._tell(f"judge log {self.path} cannot be written ({e.strerror}); going on without it")

    def _open(self) -> IO[str]:
        torn = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
        file = self.path.open("a", encoding="ascii")
        if torn:  # a process was killed while it wrote
            file.write("\n")
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_log(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The lines of a judge log. One that was cut off is left out: the run was killed before it used that answer.

    Args:
        path: the file.
        name: what to call it in a message.

    Raises:
        UsageError: the log cannot be read, or a line is not a judge log's.
    """
    try:
        for line in scan_jsonl(path):
            if line.fault in ("blank", "syntax"):  # cut off, and perhaps gone on behind it
                continue
            where = f"{name} {path}, line {line.number}"
            if line.fault == "bytes":
                raise UsageError(f"{where}: {line.reason}; expected a run's judge.jsonl")
            try:
                if line.row is None:
                    raise ValueError(line.reason)
                read_verdict(line.row)
                if not isinstance(line.row["request"], str) or not isinstance(line.row["final"], bool):
                    raise ValueError("request and final have other types")
            except (ValueError, KeyError) as e:
                raise UsageError(f"{where}: not a judge log's line ({e}); expected a judge.jsonl") from e
            yield line.row
    except OSError as e:
        raise UsageError(f"{name} {path}: cannot be read ({e.strerror or e}); expected a run's judge.jsonl") from e


class Replay:
    """Answers from a judge log: each question's answers in the order in which they were given; the last one stays.

    Raises:
        UsageError: the log cannot be read, or a line is not a judge log's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, list[Verdict]] = defaultdict(list)
        for record in read_log(path, "replay"):
            if record["final"]:
                self._answers[record["request"]].append(read_verdict(record))
        if not self._answers:
            raise UsageError(f"replay {path}: holds no answer; expected the judge.jsonl of a run that asked an oracle")
        for answers in self._answers.values():
            answers.reverse()  # to be popped

    def answer(self, query: Query) -> Verdict:
        """The next answer to a query.

        Raises:
            UsageError: the log never saw it.
        """
        verdict = self._next(request_digest(query))
        if verdict is None:
            start = " ".join(query.response.split())[:60]
            raise UsageError(
                f"replay {self.path} has no answer about {start!r}; expected the log of a run with the same config and "
                "seed on the same machine that got this far; train without --replay to ask"
            )
        return verdict

    def skip(self, requests: Iterable[str]) -> None:
        """Go past answers that a resumed run was given before."""
        for request in requests:
            self._next(request)

    def _next(self, request: str) -> Verdict | None:
        answers = self._answers.get(request)
        if answers is None:
            return None
        return answers.pop() if len(answers) > 1 else answers[0]
