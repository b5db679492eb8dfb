"""What every run of a study shares: a policy, its questions, and graded, judged rollouts."""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cal_grpo.alignment import Aligner
from cal_grpo.credit import Formula, OnTrouble, Weights
from cal_grpo.engines.reading import render
from cal_grpo.engines.tunix.models import load_policy, make_mesh
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade, grade_answer
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import Completion, CreditPipeline
from cal_grpo.policies import resolve_model
from cal_grpo.tasks import Example, stories
from study.formulas import formula_of
from study.simulator import Prompts, Rollouts, Sampler, from_tunix, pad_prompts
from study.simulator.sample import stream

# Named streams of draws, see ``stream``.
_TRAINING, _HELD_OUT, _PASS_AT_K, _PASSES, _ENDINGS = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Question:
    """A question as the policy reads it."""

    example: Example
    prompt_ids: tuple[int, ...]


class World:
    """A policy on ``ledger`` stories with a given number of changes.

    Args:
        policy: ``"embedded"`` or a folder.
        steps: changes in a story.
        group_size: G, answers a question in training.
        held_out: questions for evaluation; the same for every run.
        first: how many held-out questions are left to others before these.
        reference_of: the worked solution that judges and learners see of an example.
        answer_tokens: the most of an answer; by default what equations need.

    Raises:
        UsageError: the policy cannot be loaded, or a prompt of that many steps does not fit the padded length.
    """

    def __init__(
        self, policy: str, steps: int, group_size: int, held_out: int, first: int = 0,
        reference_of: Callable[[Example], str] = operator.attrgetter("reference"), answer_tokens: int | None = None,
    ) -> None:  # fmt: skip
        self.steps, self.group_size, self._reference_of = steps, group_size, reference_of
        loaded = load_policy(resolve_model(policy), make_mesh())
        self.tokenizer = loaded.tokenizer
        self.shape, self.params = from_tunix(loaded.model)
        self._prompt_tokens, answer_tokens = 48 + 9 * steps, answer_tokens or 16 + 11 * steps
        self.sampler = Sampler(self.shape, answer_tokens, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id or 0)
        self.aligner = Aligner(self.tokenizer)
        self.held_out = list(itertools.islice(self._questions("eval", 0), first, first + held_out))

    def pipeline(
        self, credit: str | Formula, oracle: CALOracle | None, weights: Weights, trouble: OnTrouble = "grpo", **settings: Any
    ) -> CreditPipeline:
        """The library's own way from graded rollouts to advantages.

        ``trouble`` is what rows without a span get, of which there is hardly one on these stories: by default as when the first
        part's trials ran.
        """
        chosen = formula_of(credit) if isinstance(credit, str) else credit
        return CreditPipeline(oracle, self.aligner, chosen, weights, self.group_size, trouble, trouble, trouble, **settings)

    def training(self, seed: int, batch_size: int) -> Iterator[list[Question]]:
        """Batches of training questions for ever; they depend on the seed alone."""
        questions = self._questions("train", seed)
        while True:
            yield list(itertools.islice(questions, batch_size))

    def first_training(self, seed: int, count: int) -> list[Question]:
        """The first training questions of a seed."""
        return list(itertools.islice(self._questions("train", seed), count))

    def passes(self, seed: int, batch_size: int, pool: int) -> Iterator[list[Question]]:
        """Batches of the first ``pool`` training questions, again and again, each pass in an order of its own."""
        questions = self.first_training(seed, pool)
        rng = np.random.default_rng([_PASSES, seed])
        waiting: list[Question] = []
        while True:
            while len(waiting) < batch_size:
                waiting += [questions[i] for i in rng.permutation(pool)]
            yield waiting[:batch_size]
            waiting = waiting[batch_size:]

    def roll_out(self, params: Any, questions: Sequence[Question], seed: int, step: int) -> tuple[Prompts, Rollouts]:
        """``group_size`` answers to each question. The noise depends on seed and step alone."""
        prompts = self.pad(questions)
        return prompts, self.sampler(params, prompts, stream(_TRAINING, seed, step), self.group_size)

    def endings(self, params: Any, begun: Prompts, each: int, seed: int, step: int) -> Rollouts:
        """``each`` endings of every begun answer, see ``pad``; their noise is a stream of its own."""
        return self.sampler(params, begun, stream(_ENDINGS, seed, step), each)

    def completions(
        self, questions: Sequence[Question], rollouts: Rollouts, group_size: int, end_tokens: bool = False
    ) -> list[Completion]:
        """Graded answers, as the pipeline takes them; with ``end_tokens`` it knows which were ended and which cut off."""
        rows = zip(rollouts.ids_BT, rollouts.logprobs_BT, rollouts.lengths_B, rollouts.ended_B, strict=True)
        return [
            dataclasses.replace(
                self._completion(questions[row // group_size].example, ids_T[:length].tolist(), logprobs_T[:length]),
                truncated=end_tokens and not ended,
                end_token=end_tokens and bool(ended),
                end_id=self.end_id,
            )
            for row, (ids_T, logprobs_T, length, ended) in enumerate(rows)
        ]

    def accuracy(self, params: Any, batch_size: int = 128) -> list[bool]:
        """Which held-out questions a greedy answer gets right, in order."""
        right: list[bool] = []
        for start in range(0, len(self.held_out), batch_size):
            batch = self.held_out[start : start + batch_size]
            padded = (batch * batch_size)[:batch_size]
            rollouts = self.sampler(params, self.pad(padded), stream(_HELD_OUT, 0), 1, temperature=0.0)
            right += [c.grade.correct for c in self.completions(padded, rollouts, 1)][: len(batch)]
        return right

    @functools.cached_property
    def start_accuracy(self) -> list[bool]:
        """``accuracy`` of the policy itself, where every training begins."""
        return self.accuracy(self.params)

    def right_of_k(self, params: Any, k: int, questions: int, seed: int, batch_size: int = 16) -> np.ndarray:
        """bool (questions, k): which of k sampled answers to each of the first held-out questions are right."""
        rows = []
        for start in range(0, questions, batch_size):
            batch = self.held_out[start : min(start + batch_size, questions)]
            rollouts = self.sampler(params, self.pad(batch), stream(_PASS_AT_K, seed, start), k)
            rows += [c.grade.correct for c in self.completions(batch, rollouts, k)]
        return np.array(rows).reshape(-1, k)

    def _completion(self, example: Example, token_ids: list[int], logprobs_T: np.ndarray) -> Completion:
        def graded(text: str) -> Grade:
            return grade_answer(text, example.answer)

        grade = graded(self.text(token_ids))
        return Completion(
            example.question, self._reference_of(example), token_ids, grade, float(grade.correct), logprobs_T, regrade=graded
        )

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, nothing added."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def solution_ids(self, question: Question) -> list[int]:
        """The reference as an answer of the policy's, its end included."""
        return [*self.encode(self._reference_of(question.example)), self.end_id]

    def pad(self, questions: Sequence[Question], begun: Sequence[Sequence[int]] = ()) -> Prompts:
        """The prompts of questions, of one width; with the ids that an answer to each has ``begun`` with, of another one."""
        ids = [question.prompt_ids for question in questions]
        width = self._prompt_tokens + (self.sampler.max_tokens if begun else 0)
        if begun:
            ids = [(*prompt, *first) for prompt, first in zip(ids, begun, strict=True)]
        return pad_prompts(ids, width, self.tokenizer.pad_token_id or 0)

    def text(self, token_ids: Sequence[int]) -> str:
        """What the ids of an answer say."""
        return self.aligner.decode(token_ids).text

    def _questions(self, split: Any, seed: int) -> Iterator[Question]:
        for example in stories(seed=seed, steps=self.steps, split=split):
            ids = tuple(self.tokenizer.encode(render(example.question, self.tokenizer)))
            if len(ids) > self._prompt_tokens:
                raise UsageError(f"a story of {self.steps} steps has {len(ids)} tokens; expected {self._prompt_tokens} at most")
            yield Question(example, ids)
