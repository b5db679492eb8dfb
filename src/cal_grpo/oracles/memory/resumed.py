"""What a run was told before it was stopped: its own judge log, read when it is resumed."""

from collections import defaultdict, deque
from dataclasses import replace
from pathlib import Path

from cal_grpo.oracles.memory.judge_log import read_log
from cal_grpo.oracles.memory.memory import Question
from cal_grpo.oracles.memory.recent import Recent
from cal_grpo.oracles.memory.records import read_verdict
from cal_grpo.oracles.types import Usage, Verdict


class Resumed:
    """A judge log as memory. A run that goes back to a checkpoint is told again what it was told since.

    Each answer is given again once, as it was, with its failures: its line is there, and stands for the answer that is given
    again. So is a verdict that was paid for an answer that never came. All others are handed to the verdicts of this process.

    Args:
        recent: those, as full as they were when the run was stopped.

    Attributes:
        spent: usage of all calls in the log.
        retried: calls that were made again.
        answered: the requests of all its final answers, in order.
    """

    def __init__(self, recent: Recent) -> None:
        self._recent = recent
        self._forget()

    def read(self, path: Path, settled: int) -> None:
        """Take a log to heart.

        Args:
            path: the log; there need be none.
            settled: how many of its final answers went into updates that are kept. Those behind are given again.

        Raises:
            UsageError: the log cannot be read, or a line is not a judge log's.
        """
        self._forget()
        paid: dict[str, dict[str, Usage]] = defaultdict(lambda: defaultdict(Usage))  # request, place: for the next answer
        bought: dict[str, dict[str, Verdict]] = defaultdict(dict)  # the same, what it brought
        for record in read_log(path, "judge log") if path.exists() else ():
            request, place = record["request"], str(record.get("leaf", ""))
            verdict = replace(read_verdict(record), cached=bool(record["cached"]))
            self.spent += verdict.usage
            self.retried += verdict.usage.calls > 0 and record["attempt"] > 1
            paid[request][place] += verdict.usage
            if not record["final"]:
                if not verdict.tag.is_failure:
                    bought[request][place] = replace(verdict, usage=paid[request][place])
                continue
            for where, part in bought.pop(request, {}).items():
                self._recent.put(where, request, part)
            usage = sum(paid.pop(request).values(), Usage())
            known = self._recent.get("", request) if verdict.cached else None
            if known is not None:  # its line shows no usage, for the log adds up
                usage = known.usage
            verdict = replace(verdict, usage=usage)
            if known is None and not verdict.tag.is_failure:
                self._recent.put("", request, verdict)
            self.answered.append(request)
            if len(self.answered) > settled:
                self._again["", request].append(verdict)
        for request, parts in bought.items():
            for place, verdict in parts.items():
                self._recent.put(place, request, verdict)
                self._again[place, request].append(verdict)

    def _forget(self) -> None:
        self.spent, self.retried = Usage(), 0
        self.answered: list[str] = []
        self._again: dict[tuple[str, str], deque[Verdict]] = defaultdict(deque)

    async def recall(self, question: Question) -> Verdict | None:
        """The next of the answers that are given again; None where the run had not come so far."""
        answers = self._again.get((question.place, question.request))
        return answers.popleft() if answers else None

    async def keep(self, question: Question, verdict: Verdict) -> None:
        """The log itself is written elsewhere."""
