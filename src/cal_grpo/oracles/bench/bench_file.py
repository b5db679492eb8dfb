"""What became of every row of a bench, a line each, so that one that was stopped goes on where it was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.files import write_whole
from cal_grpo.jsonlines import scan_jsonl
from cal_grpo.oracles.bench.bench_figures import BenchResult
from cal_grpo.oracles.bench.labelled import Labelled
from cal_grpo.oracles.memory import read_verdict, request_digest, verdict_record
from cal_grpo.oracles.types import Query, Verdict


class BenchFile:
    """A JSONL file of verdicts, one judge's.

    A line that breaks off, because its process was killed, and one of a call that failed are as if they were not there. Lines
    about other rows than those of now stay as they are.

    Args:
        path: the file; there need be none.
        judge: all that decides the judge's answers.
        rows: those of now.

    Attributes:
        known: verdicts that need not be asked for, with the seconds that they took.

    Raises:
        UsageError: it cannot be read, is no bench's, or another judge's.
    """

    def __init__(self, path: Path, judge: Mapping[str, str], rows: Sequence[Labelled]) -> None:
        self.path, self._judge = path, dict(judge)
        self._broken = False
        self._lines: dict[Query | None, list[str]] = {}
        self.known: dict[Query, tuple[Verdict, float]] = {}
        queries = {request_digest(row.query): row.query for row in rows}
        for record in self._records() if path.is_file() else ():  # a device may have no end
            query, verdict = queries.get(record["request"]), read_verdict(record)
            if query is None or not verdict.tag.is_failure:
                self._lines.setdefault(query, []).append(json.dumps(record))
            if query is not None and not verdict.tag.is_failure and query not in self.known:
                self.known[query] = replace(verdict, cached=bool(record["cached"])), float(record["waited_s"])

    def begin(self, known: Sequence[BenchResult]) -> None:
        """Write what is known, as it is mapped now, in the place of what the file held.

        Raises:
            UsageError: it cannot be written; then it is as it was.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"{self.path.parent}: cannot be created ({e.strerror or e}); choose another --output") from e
        placed = {result.row.query for result in known}
        others = [line for query, lines in self._lines.items() if query not in placed for line in lines]
        write_whole(self.path, "".join(f"{line}\n" for line in [*others, *map(self._line, known)]))

    def append(self, results: Sequence[BenchResult]) -> None:
        """More lines, handed to the operating system when this returns.

        Raises:
            UsageError: they cannot be written.
        """
        if self._broken:  # nothing may follow on a line that broke off
            raise UsageError(f"output {self.path}: could not be written; make room and go on with the same command")
        try:
            with self.path.open("a", encoding="ascii") as file:
                file.write("".join(f"{self._line(result)}\n" for result in results))
        except OSError as e:
            self._broken = True
            raise UsageError(
                f"output {self.path}: cannot be written ({e.strerror or e}); make room and go on with the same command"
            ) from e

    def _line(self, result: BenchResult) -> str:
        row, verdict = result.row, result.verdict
        head = {"row": row.number, "request": request_digest(row.query), "judge": self._judge}
        place = {"first_error_step": row.first_error, "step": result.step, "off_by": result.off_by, "span": result.span}
        why = {"no_span": result.why_not, "corrected_right": result.corrected_right}
        took = {"waited_s": round(result.latency_s, 6), "cached": verdict.cached}
        return json.dumps({**head, **place, **why, **took, **verdict_record(verdict)})

    def _records(self) -> list[dict[str, Any]]:
        try:
            lines = [line for line in scan_jsonl(self.path) if not line.torn and line.fault != "blank"]
        except OSError as e:
            raise UsageError(f"output {self.path}: cannot be read ({e.strerror or e}); choose another --output") from e
        return [self._checked(line.row, line.number) for line in lines]

    def _checked(self, record: dict[str, Any] | None, number: int) -> dict[str, Any]:
        where = f"output {self.path}, line {number}"
        try:
            if record is None:
                raise ValueError("not a JSON object")
            read_verdict(record)
            judge, _, _ = record["judge"], str(record["request"]), float(record["waited_s"]) + record["cached"]
        except (KeyError, TypeError, ValueError) as e:
            raise UsageError(f"{where}: not a bench's line ({e}); expected one that oracle bench wrote: choose another") from e
        if judge != self._judge:
            raise UsageError(f"{where}: a verdict of {_shown(judge)}; this judge is {_shown(self._judge)}: choose another file")
        return record


def _shown(judge: Any) -> str:
    return ascii(", ".join(f"{name} {value}" for name, value in judge.items()) if isinstance(judge, dict) else judge)
