"""An earlier run's judge log in the place of an oracle."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from cal_grpo.errors import UsageError
from cal_grpo.oracles.memory.judge_log import read_log
from cal_grpo.oracles.memory.memory import Question
from cal_grpo.oracles.memory.records import read_verdict
from cal_grpo.oracles.types import Query, Tag, Verdict


class Replay:
    """Answers from a judge log: each question's answers in the order in which they were given; the last one stays.

    Args:
        path: the log.
        tell: hears where it holds no correction; None where none is wanted.

    Raises:
        UsageError: the log cannot be read, or a line is not a judge log's.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._answers: dict[str, list[Verdict]] = defaultdict(list)
        for record in read_log(path, "replay"):
            if record["final"]:
                self._answers[record["request"]].append(read_verdict(record))
        if not self._answers:
            raise UsageError(f"replay {path}: holds no answer; expected the judge.jsonl of a run that asked an oracle")
        if tell is not None and not any(verdict.correction for answers in self._answers.values() for verdict in answers):
            tell(
                f"replay {path} holds no correction, so there is none to learn: its oracle gave none, or was not asked for any"
            )
        for answers in self._answers.values():
            answers.reverse()  # to be popped

    async def recall(self, question: Question) -> Verdict:
        """The next answer to a question.

        Raises:
            UsageError: the log never saw it.
        """
        verdict = self._next(question.request)
        if verdict is None:
            start = " ".join(question.query.response.split())[:60]
            raise UsageError(
                f"replay {self.path} has no answer about {start!r}; expected the log of a run with the same config and "
                "seed on the same machine that got this far; train without --replay to ask"
            )
        return verdict

    async def keep(self, question: Question, verdict: Verdict) -> None:
        """There is nothing to learn: the log knows all."""

    def skip(self, requests: Iterable[str]) -> None:
        """Go past answers that a resumed run was given before."""
        for request in requests:
            self._next(request)

    def _next(self, request: str) -> Verdict | None:
        answers = self._answers.get(request)
        if answers is None:
            return None
        return answers.pop() if len(answers) > 1 else answers[0]


class Silent:
    """Stands where an oracle would be asked, in a replay; so that it needs no key."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def locate(self, query: Query) -> Verdict:
        return Verdict(Tag.ABSTAINED, critique="a replay asks nothing")
