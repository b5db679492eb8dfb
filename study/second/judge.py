"""A judge that knows the truth of a `ledger` story, and errs as often as one likes."""

import random
from collections.abc import Mapping
from dataclasses import replace

from cal_grpo.oracles import Query, ReferenceOracle, Tag, Verdict, corrected, hint_for, split_steps
from study.second import wordy
from study.second.arm import Judge


class TruthfulJudge:
    """Names the first wrong line, and writes the rest in the answer's own form: one equation a line, then ``#### answer``.

    Its draws depend on the seed and the query alone, so that a run can be repeated.

    Args:
        truths: the whole solution to each question, whatever reference the query shows.
        judge: how it errs.
        seed: of its draws.
    """

    name = "truthful"

    def __init__(self, truths: Mapping[str, str], judge: Judge, seed: int) -> None:
        self._truths, self._judge, self._seed = truths, judge, seed
        self._reference = ReferenceOracle()

    async def locate(self, query: Query) -> Verdict:
        if self._judge.reads:
            return await self._reference.locate(query)
        draw = random.Random(f"judge/{self._seed}/{query.question}/{query.response}")
        silent, misplaced = draw.random() < self._judge.silent, draw.random() < self._judge.misplaced
        truth = self._truths[query.question]
        verdict = await self._reference.locate(replace(query, reference=truth))
        if verdict.tag is not Tag.FOUND:
            return verdict
        if silent:
            return Verdict(Tag.ABSTAINED)
        if misplaced:
            verdict = _moved(verdict, query.response, draw)
        return replace(verdict, correction=self._rest(truth, query.response, verdict, draw))

    def _rest(self, truth: str, response: str, verdict: Verdict, draw: random.Random) -> str:
        """The truth from the blamed line on. An answer that had left its form before that line gets none."""
        found = corrected(response, replace(verdict, correction="."))
        if found is None:
            return ""
        at, lines = response.count("\n", 0, found[0]), truth.split("\n")
        rest = lines[at:]
        if not rest or [line.count("=") for line in response.split("\n")[:at]] != [1] * at:
            return ""
        return "\n".join(wordy.slipped(rest, draw) if draw.random() < self._judge.slips else rest)


class WordyJudge:
    """Follows an answer in whatever wording and order, and writes the rest in the wordings that the answer has used.

    Args:
        truths: a solution to each question in equations, whatever reference the query shows.
        judge: how it errs.
        seed: of its draws, which depend on the query besides.
    """

    name = "wordy"

    def __init__(self, truths: Mapping[str, str], judge: Judge, seed: int) -> None:
        self._stories = {question: wordy.story_of(truth) for question, truth in truths.items()}
        self._judge, self._seed = judge, seed

    async def locate(self, query: Query) -> Verdict:
        draw = random.Random(f"wordy judge/{self._seed}/{query.question}/{query.response}")
        err = random.Random(f"wordy judge errs/{self._seed}/{query.question}/{query.response}")
        silent, misplaced, slips = (
            err.random() < rate for rate in (self._judge.silent, self._judge.misplaced, self._judge.slips)
        )
        story, lines = self._stories[query.question], query.response.split("\n")
        at = wordy.first_wrong(story, lines)
        others = [i for i, line in enumerate(lines) if i != at and line.strip()]
        if misplaced and others:
            at = err.choice(others)
        rest = wordy.rest(story, lines, at, draw)
        start = sum(len(line) + 1 for line in lines[:at])
        step = next((step for step in split_steps(query.response) if step.start >= start), None)
        if silent or step is None:  # a blank line is wrong, and nothing follows
            return Verdict(Tag.ABSTAINED)
        rest = wordy.slipped(rest, err) if slips else rest
        return Verdict(Tag.FOUND, segment=step.text, hint=hint_for(query.response, step), correction="\n".join(rest))


def solution_of(question: str, truth: str, judge: Judge, seed: int) -> str:
    """The judge's own whole solution to a question, always the same; it slips as often as in corrections."""
    draw = random.Random(f"solution/{seed}/{question}")
    lines = truth.split("\n")
    return "\n".join(wordy.slipped(lines, draw) if draw.random() < judge.slips else lines)


def _moved(verdict: Verdict, response: str, draw: random.Random) -> Verdict:
    found = corrected(response, replace(verdict, correction="."))
    others = [step for step in split_steps(response) if found is None or step.start != found[0]]
    if not others:
        return verdict
    step = draw.choice(others)
    return replace(verdict, segment=step.text, hint=hint_for(response, step))
