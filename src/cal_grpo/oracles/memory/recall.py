"""What a run was told before it was stopped: its own judge log, read when it is resumed."""

from collections import defaultdict, deque
from dataclasses import replace
from pathlib import Path

from cal_grpo.oracles.memory.judge_log import read_log
from cal_grpo.oracles.memory.records import read_verdict
from cal_grpo.oracles.types import Usage, Verdict


class Recall:
    """A judge log as memory. A run that goes back to a checkpoint is told again what it was told since.

    Args:
        path: the log; there need be none.
        settled: how many of its final answers went into updates that are kept. Those behind are given again, in order and
            as they were, failures included; their lines are there, and stand for the answers that are given again.

    Attributes:
        spent: usage of all calls in the log.
        retried: calls that were made again.
        answered: the requests of all its final answers, in order.

    Raises:
        UsageError: the log cannot be read, or a line is not a judge log's.
    """

    def __init__(self, path: Path, settled: int) -> None:
        self.spent, self.retried = Usage(), 0
        self.answered: list[str] = []
        self._again: dict[str, deque[Verdict]] = defaultdict(deque)
        self._known: dict[str, Verdict] = {}
        attempts: dict[str, Usage] = {}
        for record in read_log(path, "judge log") if path.exists() else ():
            request, verdict = record["request"], replace(read_verdict(record), cached=bool(record["cached"]))
            self.spent += verdict.usage
            usage = attempts.pop(request, Usage()) + verdict.usage
            if not record["final"]:
                self.retried += 1
                attempts[request] = usage
                continue
            if verdict.cached and request in self._known:  # its line shows no usage, for the log adds up
                usage = self._known[request].usage
            verdict = replace(verdict, usage=usage)
            self.answered.append(request)
            if len(self.answered) > settled:
                self._again[request].append(verdict)
            if not verdict.tag.is_failure:
                self._known.setdefault(request, replace(verdict, cached=True))

    def again(self, request: str) -> Verdict | None:
        """The next of the answers that are given again; None where the run had not come so far."""
        answers = self._again.get(request)
        return answers.popleft() if answers else None

    def known(self, request: str) -> Verdict | None:
        """The verdict on the same question, from any update before; a failure is none."""
        return self._known.get(request)
